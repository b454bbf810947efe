"""The device as the session sees it: messages from the cloud, and what it tells of itself."""

from doubles.appliance import Bench
from doubles.clock import FakeClock
from doubles.models import CONTROLLER
from expect import raises


def test_a_message_is_logged_with_size_data_and_properties_and_counted():
    bench = Bench()
    bench.device.on_message(b"open the window", {"$.mid": "7", "colour": "red"})
    (level, text) = bench.log.records[0]
    assert level == "info"
    assert text.startswith("message of 15 bytes: b'open the window' with {")
    assert "'colour': 'red'" in text and "'$.mid': '7'" in text
    assert bench.device.message_count == 1
    assert bench.device.last_message_time == bench.clock.unix_time()


def test_a_hostile_message_is_one_bounded_line():
    bench = Bench()
    bench.device.on_message(
        b"\r\n\x1b[2J\xff" + b"x" * 60000, {"a\n" * 500: None, "b": "c" * 5000}
    )
    text = bench.log.records[0][1]
    assert "\n" not in text and "\x1b" not in text
    assert len(text) < 240
    assert "message of 60007 bytes" in text


def test_an_empty_message_counts_too():
    bench = Bench()
    bench.device.on_message(b"", {})
    assert bench.device.message_count == 1


def test_the_callback_sees_the_message_before_it_counts():
    bench = Bench()
    seen = []
    bench.device.message_callback = lambda payload, properties: seen.append(
        (payload, properties, bench.device.message_count)
    )
    bench.device.on_message(b"hello", {"a": None})
    assert seen == [(b"hello", {"a": None}, 0)]
    assert bench.device.message_count == 1


def test_a_callback_that_fails_leaves_the_message_unhandled():
    bench = Bench()

    def fail(payload, properties):
        raise OSError(28)

    bench.device.message_callback = fail
    with raises(OSError):
        bench.device.on_message(b"hello", {})
    assert bench.device.message_count == 0
    assert bench.device.last_message_time == 0


def test_an_unknown_date_is_none():
    bench = Bench()
    bench.device._clock = FakeClock(unix_s=0)
    bench.device.on_message(b"hello", {})
    assert bench.device.last_message_time == 0


def test_components_are_found_by_name_the_root_by_none():
    bench = Bench()
    assert bench.device.component().interface.dtmi == CONTROLLER
    assert bench.device.component("thermostat2").name == "thermostat2"
    assert bench.device.component("thermostat3") is None


def test_it_says_what_it_is_when_online():
    bench = Bench()
    bench.hub.connect()
    assert bench.log.has("info", "announced as " + CONTROLLER)
    assert bench.device.desired_version == 1


def test_desired_values_are_counted_once_by_their_answer():
    bench = Bench()
    bench.hub.connect()
    assert (bench.device.accepted_count, bench.device.rejected_count) == (0, 0)
    bench.hub.desire({"thermostat1": {"targetTemperature": 25}})
    bench.hub.desire({"thermostat1": {"targetTemperature": 99}})
    bench.hub.desire({"thermostat1": {"targetTemperature": 26}, "thermostat2": {"x": 1}})
    bench.hub.connect()
    bench.hub.connect()
    assert (bench.device.accepted_count, bench.device.rejected_count) == (2, 1)
