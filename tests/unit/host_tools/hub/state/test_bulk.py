"""Many identities in one call: each entry on its own."""

import pytest
from doubles.hub_in_memory import make_hub

from host_tools.hub.state.bulk import MAX_ENTRIES
from host_tools.hub.state.errors import HubError


def test_creating_updating_and_deleting_side_by_side():
    hub = make_hub("b", "c")
    outcome = hub.bulk.apply(
        [
            {
                "id": "a",
                "importMode": "create",
                "status": "disabled",
                "statusReason": "not yet",
                "tags": {"floor": 2},
                "properties": {"desired": {"targetTemperature": 21}},
            },
            {"id": "b", "importMode": "Update", "status": "disabled"},
            {"id": "c", "importMode": "delete"},
            {"id": "d"},
        ]
    )
    assert outcome == {"isSuccessful": True, "errors": [], "warnings": []}
    assert hub.registry.device_ids() == ("a", "b", "d")
    twin = hub.twins.get("a")
    assert (twin["status"], twin["statusReason"]) == ("disabled", "not yet")
    assert (twin["tags"], twin["properties"]["desired"]["targetTemperature"]) == (
        {"floor": 2},
        21,
    )
    assert hub.registry.get("b")["status"] == "disabled"
    assert hub.registry.get("d")["status"] == "enabled"


def test_twins_by_their_own_etag():
    hub = make_hub("a")
    entry = {"id": "a", "importMode": "updateTwinIfMatchETag", "tags": {"floor": 2}}
    stale = hub.bulk.apply([{**entry, "twinETag": "stale"}])
    assert [each["errorCode"] for each in stale["errors"]] == ["PreconditionFailed"]
    assert hub.bulk.apply([{**entry, "twinETag": hub.twins.get("a")["etag"]}])["isSuccessful"]
    assert hub.bulk.apply([{**entry, "importMode": "updateTwin", "tags": {"room": 1}}])
    assert hub.twins.get("a")["tags"] == {"floor": 2, "room": 1}


@pytest.mark.parametrize("mode", ["updateIfMatchETag", "deleteIfMatchETag"])
def test_identities_by_their_etag(mode):
    hub = make_hub("a")
    entry = {"id": "a", "importMode": mode, "status": "disabled"}
    for wrong in ({}, {"eTag": "stale"}, {"eTag": 5}):
        assert not hub.bulk.apply([{**entry, **wrong}])["isSuccessful"]
    assert hub.registry.get("a")["status"] == "enabled"
    assert hub.bulk.apply([{**entry, "eTag": hub.registry.get("a")["etag"]}])["isSuccessful"]
    assert not hub.registry.exists("a") or hub.registry.get("a")["status"] == "disabled"


def test_one_that_fails_is_told_and_leaves_the_others():
    hub = make_hub("a")
    outcome = hub.bulk.apply(
        [
            {"id": "a", "importMode": "create"},
            {"id": "b", "importMode": "create"},
            {"id": "c", "importMode": "delete"},
            {"id": "d", "importMode": "fold"},
            {"id": "e", "importMode": "create", "tags": {"a.b": 1}},
            {"id": "f", "moduleId": "m", "importMode": "create"},
            {"id": 5},
        ]
    )
    assert not outcome["isSuccessful"]
    told = [(each["deviceId"], each["errorCode"], each["operation"]) for each in outcome["errors"]]
    assert told == [
        ("a", "DeviceAlreadyExists", "create"),
        ("c", "DeviceNotFound", "delete"),
        ("d", "ArgumentInvalid", "fold"),
        ("e", "ArgumentInvalid", "create"),
        ("f", "DeviceNotFound", "create"),
        (5, "ArgumentInvalid", "create"),
    ]
    # Nothing half-made stays
    assert hub.registry.device_ids() == ("a", "b")


@pytest.mark.parametrize(
    "body",
    [None, {}, [], "x", [1], [{"id": "a"}, {"id": "a"}], [{"id": str(n)} for n in range(101)]],
)
def test_a_list_that_is_none(body):
    hub = make_hub()
    with pytest.raises(HubError) as refused:
        hub.bulk.apply(body)
    assert refused.value.code == 400004
    assert hub.registry.device_ids() == ()


def test_a_hundred_at_once():
    hub = make_hub()
    assert hub.bulk.apply([{"id": f"d{n}"} for n in range(MAX_ENTRIES)])["isSuccessful"]
    assert len(hub.registry.device_ids()) == MAX_ENTRIES
