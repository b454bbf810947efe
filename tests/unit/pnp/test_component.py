"""Single properties: what counts as held by the hub, and what is still to be told."""

from doubles.appliance import ack
from pnp.desired import compare
from pnp.device import Property, is_same


def target(value=22, code=200, version=5):
    """A property that the service has set."""
    settled = Property("target", "double", value)
    settled.apply = lambda value: value
    settled.code, settled.version = code, version
    return settled


def test_the_same_is_the_same_value_whatever_its_number_type():
    for a, b in (
        (1, 1.0),
        (1.0, 1),
        (21.47, 21.470001),
        (1e6, 1e6 + 0.5),
        (0.0, 1e-6),
        ("a", "a"),
        (None, None),
        (True, True),
        ([1], [1]),
        ({"a": 1}, {"a": 1}),
    ):
        assert is_same(a, b) and is_same(b, a), (a, b)


def test_what_only_looks_the_same_is_not():
    for a, b in (
        (1, True),
        (0, False),
        (1.0, True),
        (0.0, None),
        (1.0, "1"),
        (1.0, 10**400),
        (1.0, -(10**400)),
        (21.47, 21.48),
        (0.0, 1e-5),
        (1.0, 1.0000015),
        (1e6, 1e6 + 2),
        (1, 2),
        (1.0, [1.0]),
        ({}, None),
        (1.0, float("inf")),
        (1.0, float("nan")),
    ):
        assert not is_same(a, b) and not is_same(b, a), (a, b)


def test_an_acknowledgement_is_held_if_value_code_and_version_are():
    for held in (ack(22, 200, 5), {"value": 22.0, "ac": 200, "av": 5, "ad": "other", "more": 1}):
        settled = target()
        compare(settled, held)
        assert not settled.is_dirty, held
    for held in (
        ack(23, 200, 5),
        ack(22, 203, 5),
        ack(22, 200, 4),
        ack(22, 200, True),
        {"ac": 200, "av": 5},
        {"value": 22, "ac": 200},
        {"value": 22, "av": 5},
        {},
        22,
        [22],
        None,
        "22",
    ):
        settled = target()
        compare(settled, held)
        assert settled.is_dirty, held


def test_a_property_that_was_never_settled_has_nothing_to_tell():
    for unsettled in (target(code=0), Property("reading", "double", None)):
        compare(unsettled, 5)
        assert not unsettled.is_dirty and not unsettled.is_out


def test_a_reading_is_told_if_the_hub_holds_another():
    for held, is_told in ((5, False), (5.0, False), (6, True), (None, True), ({}, True)):
        reading = Property("reading", "double", 5)
        compare(reading, held)
        assert reading.is_dirty == is_told, held


def test_a_comparison_ends_what_was_out():
    settled = target()
    settled.is_out = True
    compare(settled, ack(22, 200, 5))
    assert not settled.is_out and not settled.is_dirty
    compare(settled, ack(21, 200, 5))
    assert settled.is_dirty
