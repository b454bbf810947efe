"""Single properties: what counts as held by the hub, and which value stays in use."""

from doubles.appliance import ack, bare
from doubles.log import FakeLog
from pnp.property import Property, Rejected, WritableProperty, is_same


class Application:
    """Takes every value, unless it is told to raise `error`."""

    def __init__(self):
        self.error = None

    def apply(self, value):
        if self.error:
            raise self.error
        return value


def writable(in_use=20):
    application = Application()
    return application, WritableProperty(
        "target", "double", application.apply, 20, in_use, FakeLog()
    )


def test_the_same_is_the_same_value_whatever_its_number_type():
    for a, b in (
        (1, 1.0),
        (1.0, 1),
        (21.47, 21.470001),
        (1e6, 1e6 + 0.5),
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
        (1e6, 1e6 + 2),
        (1, 2),
        (1.0, [1.0]),
        ({}, None),
        (1.0, float("inf")),
        (1.0, float("nan")),
    ):
        assert not is_same(a, b) and not is_same(b, a), (a, b)


def test_an_acknowledgement_is_held_if_value_code_and_version_are():
    _, target = writable()
    target.accept(22, 5)
    assert target.is_held(ack(22, 200, 5))
    assert target.is_held({"value": 22.0, "ac": 200, "av": 5, "ad": "other", "more": 1})
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
        assert not target.is_held(held), held


def test_a_property_that_was_never_settled_has_nothing_to_tell():
    _, target = writable()
    target.compare(None)
    assert not target.is_dirty
    target.repeat(0)
    assert not target.is_dirty
    reading = Property("reading", "double")
    reading.compare(5)
    assert not reading.is_dirty and not reading.is_out


def test_the_value_at_start_stays_in_use_until_another_is_taken():
    _, target = writable(in_use=31)
    target.accept("hot", 5)
    assert bare(target.report()) == ack(31, 400, 5)


def test_a_rejection_may_leave_the_value_or_name_another():
    application, target = writable()
    target.accept(22, 5)
    application.error = Rejected("too hot")
    target.accept(90, 6)
    assert target.report() == {"value": 22, "ac": 400, "av": 6, "ad": "too hot"}
    application.error = Rejected("too hot", 0)
    target.accept(90, 7)
    assert target.report() == {"value": 0, "ac": 400, "av": 7, "ad": "too hot"}


def test_a_reason_is_cut():
    application, target = writable()
    application.error = Rejected("long " * 100)
    target.accept(90, 6)
    assert len(target.report()["ad"]) == 80


def test_a_default_that_is_rejected_says_so():
    application, target = writable(in_use=31)
    application.error = Rejected("no default today")
    target.restore_default(8)
    assert bare(target.report()) == ack(31, 400, 8)
    application.error = OSError(28)
    target.restore_default(9)
    assert bare(target.report()) == ack(31, 500, 9)


def test_an_answer_is_repeated_for_its_version_and_for_a_default():
    _, target = writable()
    target.accept(22, 5)
    for version, is_repeated in ((5, True), (4, False), (6, False)):
        target.is_dirty = False
        target.repeat(version)
        assert target.is_dirty == is_repeated
    target.restore_default(6)
    target.is_dirty = False
    target.repeat(6)
    assert target.is_dirty


def test_a_comparison_ends_what_was_out():
    _, target = writable()
    target.accept(22, 5)
    target.is_out = True
    target.compare(ack(22, 200, 5))
    assert not target.is_out and not target.is_dirty
    target.compare(ack(21, 200, 5))
    assert target.is_dirty
