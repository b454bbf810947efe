"""The device as the session sees it: messages, what it tells of itself, and commands: every way
to ask for one, and the answer that each gets."""

from doubles.appliance import Bench
from doubles.models import CONTROLLER, THERMOSTAT
from expect import raises
from pnp.device import Rejected, Unavailable


def test_a_message_is_logged_with_size_data_and_properties_and_counted():
    bench = Bench()
    bench.device.on_message(b"open the window", {"$.mid": "7", "colour": "red"})
    (level, text) = bench.log.records[0]
    assert level == "info"
    assert text.startswith("message of 15 bytes: b'open the window' with {")
    assert "'colour': 'red'" in text and "'$.mid': '7'" in text


def test_a_hostile_message_is_one_bounded_line():
    bench = Bench()
    bench.device.on_message(
        b"\r\n\x1b[2J\xff" + b"x" * 60000, {"a\n" * 500: None, "b": "c" * 5000}
    )
    text = bench.log.records[0][1]
    assert "\n" not in text and "\x1b" not in text
    assert len(text) < 240
    assert "message of 60007 bytes" in text


def test_what_is_longer_than_its_room_in_the_log_is_cut():
    for count, shown in ((77, "b'" + "x" * 77 + "'"), (78, "b'" + "x" * 78 + "...")):
        bench = Bench()
        bench.device.on_message(b"x" * count, {})
        text = "message of %d bytes: %s with {}" % (count, shown)
        assert bench.log.records == [("info", text)]


def test_a_message_may_be_empty():
    bench = Bench()
    bench.device.on_message(b"", {})
    assert bench.log.has("info", "message of 0 bytes: b'' with {}")


def test_the_callback_sees_the_message():
    bench = Bench()
    seen = []
    bench.device.message_callback = lambda payload, properties: seen.append((payload, properties))
    bench.device.on_message(b"hello", {"a": None})
    assert seen == [(b"hello", {"a": None})]


def test_a_callback_that_fails_leaves_the_message_unhandled():
    bench = Bench()

    def fail(payload, properties):
        raise OSError(28)

    bench.device.message_callback = fail
    with raises(OSError):
        bench.device.on_message(b"hello", {})


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
    bench.hub.desire({"thermostat1": {"targetTemperature": 24}})
    bench.hub.desire({"thermostat1": {"targetTemperature": 99}})
    bench.hub.desire({"thermostat1": {"targetTemperature": 26}, "thermostat2": {"x": 1}})
    bench.hub.connect()
    bench.hub.connect()
    assert (bench.device.accepted_count, bench.device.rejected_count) == (3, 1)


# Commands

REPORT = {
    "maxTemp": 22.5,
    "minTemp": 20,
    "avgTemp": 21.0,
    "startTime": "2026-11-21T05:33:00Z",
    "endTime": "2026-11-21T05:35:00Z",
}
SINCE = "2026-11-21T05:33:00.123456Z"


class Handlers:
    """A bench whose commands answer `response`, or raise `error`, and keep their requests."""

    def __init__(self, dtmi=None):
        self.bench = Bench(dtmi=dtmi) if dtmi else Bench()
        self.requests = []
        self.response = REPORT
        self.error = None
        for name in self.bench.zones:
            self.bench.device.component(name).bind_command("getMaxMinReport", self.run)
        if dtmi is None:
            self.bench.device.component().bind_command("reboot", self.reboot)

    def run(self, request):
        self.requests.append(request)
        if self.error:
            raise self.error
        return self.response

    def reboot(self, delay):
        self.requests.append(delay)

    def ask(self, name, request=None):
        return self.bench.device.on_command(name, request)


def test_a_components_command_is_answered_with_its_response():
    handlers = Handlers()
    assert handlers.ask("thermostat1*getMaxMinReport", SINCE) == (200, REPORT)
    assert handlers.ask("thermostat2*getMaxMinReport", SINCE) == (200, REPORT)
    assert handlers.requests == [SINCE, SINCE]


def test_a_command_without_a_response_is_answered_with_nothing():
    handlers = Handlers()
    assert handlers.ask("reboot", 5) == (200, None)
    assert handlers.requests == [5]


def test_a_command_without_a_request_takes_any():
    handlers = Handlers()
    root = handlers.bench.device.component()
    root.interface.commands["beep"] = (None, None)
    root.bind_command("beep", handlers.requests.append)
    for request in (None, 5, "loud", {}):
        assert handlers.ask("beep", request) == (200, None)
    assert handlers.requests == [None, 5, "loud", {}]


def test_a_command_of_the_root():
    assert Handlers(THERMOSTAT).ask("getMaxMinReport", SINCE) == (200, REPORT)


def test_unknown_commands_and_components_are_answered_404():
    handlers = Handlers()
    for name in (
        "getMaxMinReport",
        "thermostat1*reboot",
        "thermostat3*getMaxMinReport",
        "deviceInformation*getMaxMinReport",
        "thermostat1*getmaxminreport",
        "thermostat1*",
        "*getMaxMinReport",
        "*reboot",
        "*",
        "",
        "reboot*",
        "thermostat1*thermostat1*getMaxMinReport",
        "thermostat1*getMaxMinReport*",
        "x" * 5000,
        "a\nb",
        "getMaxMinReport\x00",
    ):
        status, response = handlers.ask(name, SINCE)
        assert status == 404, name
        assert response == {"error": "unknown command"}
        assert ("warning", "unknown command %r" % name[:64]) == handlers.bench.log.records[-1]
    assert handlers.requests == []


def test_a_command_of_the_model_that_nobody_bound_is_unknown():
    assert Bench().device.on_command("reboot", 1)[0] == 404


def test_bad_requests_are_answered_400_and_do_not_reach_the_application():
    handlers = Handlers()
    for request in (None, 5, "", "now", "2026-11-21", True, [SINCE], {"since": SINCE}):
        status, response = handlers.ask("thermostat1*getMaxMinReport", request)
        assert (status, response) == (400, {"error": "expected dateTime"}), request
    for request in (None, "5", 5.0, True, 1 << 40, -(1 << 40), [5], {"delay": 5}, float("inf")):
        assert handlers.ask("reboot", request) == (400, {"error": "expected integer"}), request
    assert handlers.requests == []


def test_what_the_application_rejects_is_answered_400_with_its_reason():
    handlers = Handlers()
    handlers.error = Rejected("no such day")
    expected = (400, {"error": "no such day"})
    assert handlers.ask("thermostat1*getMaxMinReport", SINCE) == expected


def test_what_cannot_be_answered_now_is_told_with_500():
    handlers = Handlers()
    handlers.error = Unavailable("no reading yet")
    expected = (500, {"error": "no reading yet"})
    assert handlers.ask("thermostat1*getMaxMinReport", SINCE) == expected


def test_a_failure_is_answered_500_without_its_words():
    handlers = Handlers()
    for error in (ValueError("secret"), OSError(5), MemoryError(), KeyError("secret")):
        handlers.error = error
        status, response = handlers.ask("thermostat1*getMaxMinReport", SINCE)
        assert (status, response) == (500, {"error": "the command failed"})
    error = "command thermostat1*getMaxMinReport failed: "
    assert handlers.bench.log.has("error", error + "ValueError('secret'")


def test_an_answer_that_is_not_the_models_is_a_failure():
    handlers = Handlers()
    for response in (None, "text", [], {"maxTemp": float("nan")}, {"other": 1}):
        handlers.response = response
        assert handlers.ask("thermostat1*getMaxMinReport", SINCE)[0] == 500, response
        assert "its answer is not the model" in handlers.bench.log.records.pop()[1]
