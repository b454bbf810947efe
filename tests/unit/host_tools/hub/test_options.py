"""Routes and policies, as they are written on the command line."""

import pytest
from doubles.hub_in_memory import make_hub

from host_tools.hub.options import NO_OPTIONS, parse_options
from host_tools.hub.server_error import ServerError
from host_tools.hub.state.notices import CONNECTION, TWIN


def test_nothing_is_the_default():
    assert parse_options() == NO_OPTIONS
    hub = make_hub()
    NO_OPTIONS.apply(hub)
    assert not hub.notices.routes


def test_words_are_known_in_any_case():
    options = parse_options(
        ["TWINCHANGEEVENTS", "deviceConnectionStateEvents"], ["mine=serviceconnect, RegistryRead"]
    )
    assert options.routes == {TWIN, CONNECTION}
    assert options.policies == (("mine", ("ServiceConnect", "RegistryRead")),)


@pytest.mark.parametrize(
    ("routes", "policies", "expected"),
    [
        (["twins"], [], "--route twins is not known; choose from twinChangeEvents"),
        ([], ["mine"], "write --policy NAME="),
        ([], ["=ServiceConnect"], "write --policy NAME="),
        ([], ["mine="], "--policy  is not known; choose from RegistryRead"),
        ([], ["mine=All"], "--policy All is not known"),
    ],
)
def test_what_is_not_understood(routes, policies, expected):
    with pytest.raises(ServerError) as told:
        parse_options(routes, policies)
    assert expected in str(told.value)


def test_a_policy_keeps_its_keys_until_it_means_something_else():
    hub = make_hub()
    parse_options([], ["mine=ServiceConnect"]).apply(hub)
    first = hub.policies.get("mine")
    parse_options([], ["mine=ServiceConnect"]).apply(hub)
    assert hub.policies.get("mine") == first
    parse_options([], ["mine=RegistryRead"]).apply(hub)
    changed = hub.policies.get("mine")
    assert not changed.allows("ServiceConnect")
    assert changed.primary_key != first.primary_key
