"""Zones and board through the models, as a service sees them."""

import json

from doubles.appliance import ack, bare
from doubles.clock import FakeClock
from doubles.cloud_bench import CloudBench
from doubles.models import CONTROLLER, INFORMATION, THERMOSTAT
from doubles.session import FakeSession
from expect import raises
from pnp.device import Rejected
from system.clock import format_utc
from thermostat.assembly import build_cloud, report_information
from thermostat.cloud import Schedule, degrees
from thermostat.crash import tell
from thermostat.history import History
from thermostat.settings import defaults
from thermostat.statistics import line

INFORMATION_OF_A_BOARD = {
    "manufacturer": "Raspberry Pi",
    "model": "Pico W",
    "osName": "MicroPython",
    "processorArchitecture": "armv6m",
    "processorManufacturer": "Raspberry Pi",
    "totalStorage": 2048,
    "totalMemory": 264,
}


class Queue:
    acked = 6


class Outbox:
    accepted, dropped, telemetry = 9, 1, Queue()


class Exchange:
    commands, messages = 4, 5


class Room:
    """Of a fitted zone: its last temperature, and all of them."""

    def __init__(self, name, clock):
        self.name = name
        self.temperature_centi_c = None
        self.history = History(clock)


class Board:
    """A board whose heap in use a test sets."""

    heap = 4096

    def unique_id(self):
        return "e6614104"

    def heap_in_use(self):
        return self.heap


class Bench(CloudBench):
    """All components of a thermostat on one model."""

    def __init__(self, dtmi=CONTROLLER, settings=None, kept=None, unix_s=1795239300):
        clock = FakeClock(unix_s=unix_s)

        def make_room(zone):
            return Room(zone.name, clock)

        super().__init__(dtmi, settings, clock, FakeSession(), Board(), make_room, kept)

    def read(self, *centi_c, seconds=10, zone=0):
        """Readings, each of which holds for some seconds."""
        for value in centi_c:
            self.rooms[zone].history.add(value)
            self.rooms[zone].temperature_centi_c = value
            self.cloud.tend()
            self.clock.advance(seconds * 1000)

    def ask(self, since, name="thermostat1*getMaxMinReport"):
        return self.device.on_command(name, since)

    def highest(self):
        return self.hub.reported["thermostat1"].get("maxTempSinceLastReboot")


def zone(value):
    return {"__t": "c", "targetTemperature": value}


def target(patch, component="thermostat1"):
    return bare(patch[component]["targetTemperature"])


# Set points


def test_the_first_connect_reports_what_the_zones_hold():
    (patch,) = Bench().hub.connect()
    assert target(patch, "thermostat1") == ack(21, 203, 0)
    assert target(patch, "thermostat2") == ack(21, 203, 0)
    assert patch["serialNumber"] == "e6614104"
    assert patch["connectivity"] == "wifi"


def test_a_set_point_reaches_the_zone_in_hundredths():
    bench = Bench()
    bench.hub.connect()
    for value, centi_c in ((22, 2200), (21.47, 2147), (42.0, 4200), (5, 500), (45, 4500)):
        (patch,) = bench.hub.desire({"thermostat1": zone(value)})
        assert target(patch) == ack(value, 200, bench.device.desired_version)
        assert bench.set_points.get("thermostat1", 0) == centi_c
    assert bench.set_points.get("thermostat2", 0) == 2100


def test_a_set_point_is_rounded_and_the_rounded_one_is_told():
    bench = Bench()
    bench.hub.connect()
    (patch,) = bench.hub.desire({"thermostat1": zone(21.4567)})
    assert target(patch) == ack(21.46, 200, 2)


def test_a_set_point_out_of_bounds_is_refused_with_the_bounds():
    bench = Bench()
    bench.hub.connect()
    bench.hub.desire({"thermostat1": zone(25)})
    for value in (45.01, 4.99, -5, 1e300, -1e300, 10**300, -(10**300), 0, 451):
        (patch,) = bench.hub.desire({"thermostat1": zone(value)})
        assert patch["thermostat1"]["targetTemperature"]["ad"] == "must be from 5 to 45"
        assert target(patch) == ack(25, 400, bench.device.desired_version)
        assert bench.set_points.get("thermostat1", 0) == 2500


def test_the_installers_bounds_hold():
    settings = defaults()
    settings.control.target_highest_centi_c = 2650
    bench = Bench(settings=settings)
    bench.hub.connect()
    (patch,) = bench.hub.desire({"thermostat1": zone(27), "thermostat2": zone(26.5)})
    assert patch["thermostat1"]["targetTemperature"]["ad"] == "must be from 5 to 26.5"
    assert target(patch, "thermostat2") == ack(26.5, 200, 2)


def test_a_bound_itself_is_within_them_also_as_a_board_reads_it():
    """To a board, whose floats have 32 bits, these are 38.9 and 5.1."""
    settings = defaults()
    settings.control.target_lowest_centi_c = 510
    settings.control.target_highest_centi_c = 3890
    bench = Bench(settings=settings)
    bench.hub.connect()
    (patch,) = bench.hub.desire({"thermostat1": zone(38.900001525878906)})
    assert target(patch) == ack(38.9, 200, 2)
    (patch,) = bench.hub.desire({"thermostat1": zone(5.099999904632568)})
    assert target(patch) == ack(5.1, 200, 3)


def test_a_number_that_cannot_be_rounded_is_refused():
    bench = Bench()
    for text in ("nan", "inf", "-inf"):
        with raises(Rejected, "must be from 5 to 45"):
            bench.zones[0]._set_target(float(text))


def test_a_kept_set_point_is_in_use_before_the_hub_is_asked():
    bench = Bench(kept={"thermostat1": 3350})
    bench.hub.desired = {"$version": 7, "thermostat1": zone(99)}
    (patch,) = bench.hub.connect()
    assert target(patch) == ack(33.5, 400, 7)


def test_a_kept_set_point_outside_of_todays_bounds_is_told_as_it_acts():
    settings = defaults()
    settings.control.target_highest_centi_c = 3000
    bench = Bench(settings=settings, kept={"thermostat1": 4000})
    bench.hub.desired = {"$version": 7, "thermostat1": zone(40)}
    (patch,) = bench.hub.connect()
    assert target(patch) == ack(30, 400, 7)


def test_null_restores_the_configured_set_point():
    settings = defaults()
    settings.zones[0].target_centi_c = 1850
    bench = Bench(settings=settings)
    bench.hub.connect()
    bench.hub.desire({"thermostat1": zone(25)})
    (patch,) = bench.hub.desire({"thermostat1": zone(None)})
    assert target(patch) == ack(18.5, 203, 0)
    assert bench.set_points.get("thermostat1", 0) == 1850


# Maximum since the start


def test_the_highest_temperature_is_told_only_when_it_rises():
    bench = Bench()
    bench.hub.connect()
    assert bench.highest() is None
    bench.read(2000)
    bench.hub.drain()
    assert bench.highest() == 20
    bench.read(1900, 2000, 1500, seconds=700)
    assert bench.hub.drain() == []
    bench.read(2030)
    assert bench.hub.drain() == [{"thermostat1": {"__t": "c", "maxTempSinceLastReboot": 20.3}}]


def test_a_slow_rise_is_told_seldom_and_never_lost():
    bench = Bench()
    bench.read(2000)
    bench.hub.connect()
    told = 0
    for centi_c in range(2000, 2200):
        bench.read(centi_c, seconds=30)
        told += len(bench.hub.drain())
    assert 9 <= told <= 11, told
    bench.read(2150, seconds=601)
    bench.read(2150)
    bench.hub.drain()
    assert bench.highest() == 21.99
    bench.read(*([1800] * 100), seconds=60)
    assert bench.hub.drain() == []


def test_a_fast_rise_is_told_at_the_pace_of_telemetry():
    bench = Bench()
    bench.read(2000)
    bench.hub.connect()
    told = 0
    for centi_c in range(2000, 3000, 25):
        bench.read(centi_c, seconds=10)
        told += len(bench.hub.drain())
    assert 9 <= told <= 10, told


def test_a_maximum_is_told_after_weeks():
    bench = Bench()
    bench.read(2000)
    bench.hub.connect()
    for _ in range(20 * 24):
        bench.read(1900, seconds=3600)
    bench.read(2001)
    assert len(bench.hub.drain()) == 1


# Report


def test_the_report_is_true():
    bench = Bench()
    bench.read(2000, 2100, 2350, seconds=10)
    now_s = bench.clock.unix_time()
    status, report = bench.ask(format_utc(now_s - 30))
    assert status == 200
    assert report["maxTemp"] == 23.5
    assert report["minTemp"] == 20
    assert report["avgTemp"] == 21.5
    assert report["endTime"] == format_utc(now_s)
    assert format_utc(now_s - 40) <= report["startTime"] <= format_utc(now_s - 30)
    assert json.loads(json.dumps(report)) == report


def test_each_zone_reports_its_own():
    bench = Bench()
    bench.read(2000, zone=0)
    bench.read(3000, zone=1)
    since = format_utc(bench.clock.unix_time() - 60)
    assert bench.ask(since)[1]["maxTemp"] == 20
    assert bench.ask(since, "thermostat2*getMaxMinReport")[1]["maxTemp"] == 30


def test_since_may_be_written_in_many_ways():
    bench = Bench()
    bench.read(2000, seconds=20)
    now = format_utc(bench.clock.unix_time())
    for since in (
        now,
        now[:-1],
        now[:-1] + ".123456Z",
        now[:-1] + ".5+00:00",
        now[:-1] + "-08:00",
        now[:-1] + "+14:00",
        now.replace("T", " "),
        "2099-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00",
    ):
        status, report = bench.ask(since)
        assert status == 200, (since, report)
        assert report["startTime"] <= report["endTime"] == now
        assert report["maxTemp"] == report["minTemp"] == report["avgTemp"] == 20


def test_a_day_that_does_not_exist_is_a_bad_request():
    status, response = Bench().ask("2026-02-30T00:00:00Z")
    assert status == 400 and response["error"].startswith("since: ")
    assert Bench().ask("2026-02-28T24:00:00Z")[0] == 400


def test_without_a_reading_or_a_date_the_report_says_so():
    bench = Bench()
    expected = {"error": "no temperature is known of that time"}
    assert bench.ask("2026-11-21T05:00:00Z") == (500, expected)
    bench = Bench(unix_s=0)
    bench.read(2000)
    assert bench.ask("2026-11-21T05:00:00Z") == (500, {"error": "the date is not known"})


def test_the_root_has_no_report_on_a_device_with_components():
    assert Bench().ask("2026-11-21T05:00:00Z", "getMaxMinReport")[0] == 404


# Zones that are not there, and other models


def test_a_zone_that_is_not_fitted_still_answers_for_its_set_point():
    settings = defaults()
    settings.zones[1].present = False
    bench = Bench(settings=settings)
    bench.hub.connect()
    (patch,) = bench.hub.desire({"thermostat2": zone(30)})
    assert target(patch, "thermostat2") == ack(30, 200, 2)
    since = "2026-11-21T05:00:00Z"
    assert bench.ask(since, "thermostat2*getMaxMinReport")[0] == 500
    assert bench.log.has("warning") is False


def test_a_component_without_a_zone_still_answers_for_its_set_point():
    settings = defaults()
    settings.zones.pop()
    settings.control.target_highest_centi_c = 2000
    settings.zones[0].target_centi_c = 1900
    bench = Bench(settings=settings)
    assert len(bench.zones) == 2
    (patch,) = bench.hub.connect()
    assert target(patch, "thermostat2") == ack(20, 203, 0)
    (patch,) = bench.hub.desire({"thermostat2": zone(17)})
    assert target(patch, "thermostat2") == ack(17, 200, 2)


def test_a_zone_that_the_model_does_not_name_is_told():
    settings = defaults()
    settings.zones[1].name = "attic"
    bench = Bench(settings=settings)
    assert len(bench.zones) == 2
    assert bench.log.has("warning", "zone attic is no component of the model")


def test_a_model_without_components_has_its_first_zone_at_the_root():
    bench = Bench(THERMOSTAT)
    assert len(bench.zones) == 1
    bench.read(2000)
    (patch,) = bench.hub.connect()
    assert bare(patch["targetTemperature"]) == ack(21, 203, 0)
    assert patch["maxTempSinceLastReboot"] == 20
    assert patch["connectivity"] == "wifi"
    assert "serialNumber" not in patch
    (patch,) = bench.hub.desire({"targetTemperature": 42})
    assert bare(patch["targetTemperature"]) == ack(42, 200, 2)
    assert bench.set_points.get("thermostat1", 0) == 4200
    assert bench.ask("2026-11-21T05:00:00Z", "getMaxMinReport")[0] == 200
    assert bench.ask(5, "reboot")[0] == 404


# Telemetry and board


def test_zones_and_board_send_under_their_own_topics():
    bench = Bench()
    bench.board.heap = 131584
    bench.cloud.tend()
    assert (bench.session.topic, bench.session.text()) == (b"topic of ", '{"workingSet":128.5}')
    bench.read(2150, zone=1)
    assert bench.session.topic == b"topic of thermostat2"
    assert bench.session.text() == '{"temperature":21.5}'


def test_a_model_without_a_working_set_sends_none():
    bench = Bench(THERMOSTAT)
    bench.cloud.tend()
    assert bench.session.sent == 0
    bench.read(-5)
    assert (bench.session.topic, bench.session.text()) == (b"topic of ", '{"temperature":-0.05}')


def test_a_temperature_is_sent_at_once_and_then_each_minute():
    bench = Bench(THERMOSTAT)
    bench.read(*([2000] * 60), seconds=1)
    assert bench.session.sent == 1
    bench.read(2000)
    assert bench.session.sent == 2


def test_a_temperature_that_is_lost_is_not_sent():
    bench = Bench(THERMOSTAT)
    bench.read(2000, seconds=60)
    bench.rooms[0].temperature_centi_c = None
    bench.cloud.tend()
    assert bench.session.sent == 1


def test_what_the_session_did_not_take_is_offered_again():
    bench = Bench(THERMOSTAT)
    bench.session.takes = False
    bench.read(2000, seconds=1)
    bench.session.takes = True
    bench.read(*([2000] * 59), seconds=1)
    assert bench.session.sent == 2


def test_the_heap_in_use_is_sent_every_ten_minutes():
    bench = Bench()
    for _ in range(1201):
        bench.cloud.tend()
        bench.clock.advance(1000)
    assert bench.session.sent == 3
    assert bench.session.text() == '{"workingSet":4}'


def test_a_restart_is_answered_and_then_done_by_whoever_was_told():
    bench = Bench()
    assert bench.ask(0, "reboot") == (200, None)
    assert bench.ask(86400, "reboot") == (200, None)
    assert bench.restarts == [0, 86400]
    for delay in (-1, 86401, (1 << 31) - 1):
        expected = {"error": "delay must be from 0 to 86400 seconds"}
        assert bench.ask(delay, "reboot") == (400, expected)
    assert bench.restarts == [0, 86400]


def test_a_crash_is_told_as_telemetry_that_fits_a_packet():
    bench = Bench()
    tell(bench.session, "crash, control: ValueError" + '\n  File "x.py", in f' * 100)
    assert bench.session.topic == b"topic of "
    assert bench.session.value()["lastCrash"].startswith("crash, control: ValueError\n  File")
    assert bench.session.size < 512 - 190


def test_the_device_information_is_the_boards_and_complete():
    bench = Bench()
    component = bench.device.component("deviceInformation")
    report_information(bench.device, INFORMATION_OF_A_BOARD)
    bench.hub.connect()
    held = bench.hub.reported["deviceInformation"]
    assert held.pop("__t") == "c"
    assert held.pop("swVersion") == "0.1.0"
    assert held == INFORMATION_OF_A_BOARD
    assert sorted(component.interface.properties) == sorted(list(held) + ["swVersion"])
    assert component.interface.dtmi == INFORMATION


def test_what_a_board_does_not_know_is_not_told():
    bench = Bench()
    report_information(bench.device, {"model": "Pico W", "colour": "green"})
    bench.hub.connect()
    assert sorted(bench.hub.reported["deviceInformation"]) == ["__t", "model", "swVersion"]


def test_a_serial_number_that_is_no_text_is_our_own_mistake():
    bench = Bench()
    bench.board.unique_id = lambda: 5
    with raises(ValueError, "serialNumber"):
        build_cloud(bench.device, None, [], bench.board, bench.settings, bench.clock, None)


def test_degrees_are_written_as_briefly_as_they_are():
    for centi_c, text in ((2100, "21"), (2150, "21.5"), (-5, "-0.05"), (0, "0"), (-100, "-1")):
        assert json.dumps(degrees(centi_c)) == text


def test_everything_at_start_fits_one_report():
    bench = Bench()
    report_information(bench.device, INFORMATION_OF_A_BOARD)
    bench.read(2000, zone=0)
    bench.read(2000, zone=1)
    assert len(bench.hub.connect()) == 1
    assert bench.hub.connect() == []


# What is worth a message


class Told:
    """An App, as far as statistics look at it."""

    def __init__(self, bench):
        self.clock = bench.clock
        self.cloud = bench.cloud


def test_the_counters_keep_their_meaning():
    bench = Bench()
    bench.session.outbox, bench.session.exchange = Outbox(), Exchange()
    bench.session.state, bench.session.connects = "online", 4
    bench.hub.connect()
    bench.hub.desire({"thermostat1": zone(22)})
    bench.hub.desire({"thermostat1": zone(99)})
    before_s = bench.clock.uptime_s()
    name, _, text = line(Told(bench), 4096).partition(" ")
    assert name == "stats"
    assert json.loads(text) == {
        "heap": 4096,
        "uptime_s": before_s,
        "state": "online",
        "telemetry_sent": 9,
        "telemetry_acked": 6,
        "telemetry_dropped": 1,
        "telemetry_waiting": 2,
        "desired_acked": 1,
        "desired_rejected": 1,
        "commands_answered": 4,
        "c2d_completed": 5,
        "reconnects": 3,
    }


def make_schedule(ticks=0):
    clock = FakeClock(ticks=ticks)
    return clock, Schedule(clock, 60, 20, 10)


def test_the_first_value_is_due_at_once():
    _, schedule = make_schedule()
    assert schedule.is_due(2100)


def test_an_unmoved_value_is_due_after_the_period():
    clock, schedule = make_schedule()
    schedule.note_sent(2100)
    clock.advance(59_999)
    assert not schedule.is_due(2100)
    clock.advance(1)
    assert schedule.is_due(2100)


def test_a_moved_value_is_due_sooner_but_not_at_once():
    clock, schedule = make_schedule()
    schedule.note_sent(2100)
    clock.advance(9_999)
    assert not schedule.is_due(2120)
    clock.advance(1)
    assert schedule.is_due(2120)
    assert schedule.is_due(2080)
    assert not schedule.is_due(2119)


def test_the_wrap_of_ticks_changes_nothing():
    clock, schedule = make_schedule((1 << 30) - 5_000)
    schedule.note_sent(2100)
    clock.advance(10_000)
    assert not schedule.is_due(2100)
    assert schedule.is_due(2120)
    clock.advance(50_000)
    assert schedule.is_due(2100)


def test_without_a_delta_time_alone_counts():
    clock = FakeClock()
    schedule = Schedule(clock, 60, 0, 0)
    schedule.note_sent(1)
    clock.advance(59_999)
    assert not schedule.is_due(1)
    assert not schedule.is_due(99)
    clock.advance(1)
    assert schedule.is_due(1)
