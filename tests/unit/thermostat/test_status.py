"""The model of our own, as a service sees it: a thermostat of real rooms with simulated sensors.

thermostat1 has an SHT4x, thermostat2 a DS18B20, which measures no humidity.
"""

import sys

from doubles.appliance import ack, bare
from doubles.clock import FakeClock
from doubles.cloud_bench import CloudBench
from doubles.models import CONTROLLER, HEATED_ZONE, HEATING, open_text
from doubles.pin import FakePin
from doubles.session import FakeSession
from pnp.model import load
from simulated.bus import Bus
from simulated.ds18b20 import DS18B20, Line
from simulated.onewire import OneWire
from simulated.sht4x import SHT4x
from system.modules import forget
from thermostat.history import History
from thermostat.room import Room
from thermostat.settings import TABLES, defaults

SHT4X_ADDRESS = 0x44
LEAST_S = 40


class Air:
    """What a sensor is in."""

    def __init__(self):
        self.celsius = 23.0
        self.humidity = 45.0

    def temperature_c(self):
        return self.celsius

    def humidity_percent(self):
        return self.humidity


class Board:
    def unique_id(self):
        return "e6614104"

    def heap_in_use(self):
        return 4096


class Session(FakeSession):
    """Keeps the telemetry of each topic."""

    def __init__(self):
        FakeSession.__init__(self)
        self.told = {}

    def send(self, topic, payload, size):
        FakeSession.send(self, topic, payload, size)
        self.told.setdefault(topic, []).append(self.value())
        return self.takes


class Bench(CloudBench):
    def __init__(self, dtmi=HEATING, settings=None):
        settings = settings or defaults()
        settings.zones[1].sensor = "ds18b20"
        clock = FakeClock()
        self.air = [Air(), Air()]
        self.i2c = Bus()
        self.i2c.attach(SHT4X_ADDRESS, SHT4x(clock, self.air[0]))
        self.line = Line()
        self.line.chips.append(DS18B20(clock, self.air[1]))
        super().__init__(dtmi, settings, clock, Session(), Board(), self.room)
        self.hub.connect()

    def room(self, zone):
        bus = self.i2c if zone.sensor == "sht4x" else OneWire(self.line)
        settings, history = self.settings.control, History(self.clock)
        return Room(zone, settings, FakePin(), lambda _: bus, self.set_points, history, self.log)

    def live(self, seconds):
        """Measure, decide and tell each second; return the reported patches that came."""
        came = []
        for _ in range(seconds):
            begun = [room for room in self.rooms if room.begin() >= 0]
            self.clock.advance(1000)
            for room in self.rooms:
                if room in begun:
                    room.finish()
                room.regulate(1000)
            self.cloud.tend()
            came += self.hub.drain()
        return came

    def told(self, name, patches, component="thermostat1"):
        """Each value of that property in `patches`."""
        found = [patch.get(component, {}) for patch in patches]
        return [section[name] for section in found if name in section]

    def held(self, name, component="thermostat1"):
        return self.hub.reported.get(component, {}).get(name)

    def telemetry(self, component="thermostat1"):
        return self.session.told.get(b"topic of " + component.encode(), [])

    def set_period(self, value):
        (patch,) = self.hub.desire({"reportPeriod": value})
        return patch["reportPeriod"]


def without_minimum_times():
    settings = defaults()
    settings.control.minimum_on_s = settings.control.minimum_off_s = 0
    return settings


# Heat, faults, alarms


def test_the_model_has_two_zones_of_our_own():
    model = dict(load(HEATING, open_text))
    assert model["thermostat1"] is model["thermostat2"]
    zone = model["thermostat1"]
    assert zone.dtmi == HEATED_ZONE
    assert sorted(zone.telemetry) == ["humidity", "temperature"]
    assert zone.properties["heating"] == ("boolean", False)
    assert zone.properties["fault"] == (("Enum", ("none", "sensorLost", "sensorAbsurd")), False)
    assert sorted(zone.properties["alarms"][0][1]) == [
        "noWarmingWhileOn",
        "onTooLong",
        "warmingWhileOff",
    ]
    assert zone.properties["targetTemperature"] == ("double", True)
    assert "getMaxMinReport" in zone.commands
    assert model[""].telemetry == {"workingSet": "double", "lastCrash": "string"}
    assert model[""].properties["reportPeriod"] == ("integer", True)


def test_nothing_is_said_of_a_zone_before_its_first_reading():
    bench = Bench()
    bench.cloud.tend()
    assert bench.hub.drain() == []
    bench.live(2)
    assert bench.held("heating") is False
    assert bench.held("fault") == "none"
    assert bench.held("alarms") == {
        "warmingWhileOff": False,
        "noWarmingWhileOn": False,
        "onTooLong": False,
    }


def test_heat_is_told_once_for_each_change():
    bench = Bench(settings=without_minimum_times())
    bench.live(100)
    bench.air[0].celsius = 20.0
    assert bench.told("heating", bench.live(100)) == [True]
    bench.air[0].celsius = 22.0
    patches = bench.live(100)
    assert bench.told("heating", patches) == [False]
    # The others did not change, nor did the other zone
    assert not bench.told("fault", patches) and not bench.told("alarms", patches)
    assert not bench.told("heating", patches, "thermostat2")


def test_a_lost_sensor_is_told_and_that_it_is_back():
    bench = Bench()
    bench.live(100)
    chip = bench.i2c.detach(SHT4X_ADDRESS)
    assert bench.told("fault", bench.live(30)) == ["sensorLost"]
    assert bench.told("fault", bench.live(60)) == []
    assert bench.held("heating") is False
    bench.i2c.attach(SHT4X_ADDRESS, chip)
    assert bench.told("fault", bench.live(30)) == ["none"]
    assert bench.held("fault", "thermostat2") == "none"


def test_a_sensor_that_never_answered_is_told():
    bench = Bench()
    bench.i2c.detach(SHT4X_ADDRESS)
    assert bench.told("fault", bench.live(30)) == ["sensorLost"]
    assert bench.telemetry() == []


def test_readings_that_no_room_has_are_told():
    bench = Bench()
    bench.live(100)
    bench.air[0].celsius = 99.0
    assert bench.told("fault", bench.live(30)) == ["sensorAbsurd"]


def test_a_sensor_that_comes_and_goes_does_not_flood_the_hub():
    bench = Bench()
    bench.live(100)
    changes = []
    for _ in range(60):
        chip = bench.i2c.detach(SHT4X_ADDRESS)
        changes += bench.told("fault", bench.live(6))
        bench.i2c.attach(SHT4X_ADDRESS, chip)
        changes += bench.told("fault", bench.live(4))
    assert 2 <= len(changes) <= 600 // LEAST_S + 1
    assert bench.told("fault", bench.live(LEAST_S + 1)) in (["none"], [])
    assert bench.held("fault") == "none"


def test_alarms_are_told_and_that_they_are_over():
    settings = without_minimum_times()
    settings.control.no_warming_window_s = 600
    bench = Bench(settings=settings)
    bench.air[0].celsius = 18.0
    (alarms,) = bench.told("alarms", bench.live(900)[1:])
    assert alarms == {"warmingWhileOff": False, "noWarmingWhileOn": True, "onTooLong": False}
    settings.control.on_too_long_s = 1800
    (alarms,) = bench.told("alarms", bench.live(1200))
    assert alarms == {"warmingWhileOff": False, "noWarmingWhileOn": True, "onTooLong": True}
    bench.air[0].celsius = 23.0
    bench.live(200)
    settings.control.warming_settle_s = 60
    bench.live(200)
    bench.air[0].celsius = 26.0
    bench.live(200)
    alarms = bench.held("alarms")
    assert alarms["warmingWhileOff"] is True and alarms["onTooLong"] is False


def test_a_reconnect_tells_what_it_held_no_second_time():
    bench = Bench()
    bench.live(100)
    assert bench.hub.connect() == []


# Humidity


def test_humidity_goes_along_with_the_temperature_of_a_sensor_that_has_it():
    bench = Bench()
    bench.live(2)
    (first,) = bench.telemetry()
    assert first["temperature"] == 23
    assert abs(first["humidity"] - 45) < 0.01
    (first,) = bench.telemetry("thermostat2")
    assert first == {"temperature": 23}


def test_a_sensor_that_is_lost_has_no_humidity():
    bench = Bench()
    bench.live(2)
    bench.i2c.detach(SHT4X_ADDRESS)
    bench.live(200)
    assert len(bench.telemetry()) == 1


# The pace that the service sets


def test_the_report_period_is_the_configured_one_until_it_is_set():
    bench = Bench()
    assert bare(bench.hub.reported["reportPeriod"]) == ack(60, 203, 0)
    bench.live(120)
    assert len(bench.telemetry()) == 2
    assert bare(bench.set_period(10)) == ack(10, 200, 2)
    bench.live(100)
    assert len(bench.telemetry()) == len(bench.telemetry("thermostat2")) == 12
    assert bare(bench.set_period(None)) == ack(60, 203, 0)
    bench.live(120)
    assert len(bench.telemetry()) == 14


def test_a_temperature_that_moves_is_no_later_than_one_that_rests():
    bench = Bench()
    bench.live(1)
    bench.set_period(5)
    for _ in range(10):
        bench.air[0].celsius += 0.5
        bench.live(5)
    assert len(bench.telemetry()) == 11
    # And is held back as configured, once there is time again
    bench.set_period(600)
    bench.air[0].celsius += 0.5
    bench.live(LEAST_S - 2)
    assert len(bench.telemetry()) == 11
    bench.live(3)
    assert len(bench.telemetry()) == 12


def test_a_report_period_that_cannot_be_is_refused():
    bench = Bench()
    bench.set_period(30)
    for value in (0, -1, 86401, (1 << 31) - 1):
        answer = bench.set_period(value)
        assert answer["ad"] == "must be from 1 to 86400"
        assert bare(answer) == ack(30, 400, bench.device.desired_version)
    for value in ("30", 30.5, True, [30]):
        assert bare(bench.set_period(value)) == ack(30, 400, bench.device.desired_version)
    for value in (1, 86400):
        assert bare(bench.set_period(value)) == ack(value, 200, bench.device.desired_version)


def test_the_bounds_of_the_report_period_are_those_of_the_settings():
    rows = TABLES["telemetry"].split()
    at = rows.index("zone_period_s")
    assert rows[at + 2 : at + 4] == ["1", "86400"]


# Zones that are not there, and other models


def test_a_zone_that_is_not_fitted_tells_nothing_of_heat():
    settings = defaults()
    settings.zones[0].present = False
    bench = Bench(settings=settings)
    bench.live(100)
    bench.set_period(10)
    assert sorted(bench.hub.reported["thermostat1"]) == ["__t", "targetTemperature"]
    assert bench.telemetry() == []
    assert bench.held("heating", "thermostat2") is False


def test_the_default_model_loads_none_of_it():
    forget(("thermostat.status",))
    bench = Bench(CONTROLLER)
    bench.live(100)
    assert "thermostat.status" not in sys.modules
    assert sorted(bench.hub.reported["thermostat1"]) == [
        "__t",
        "maxTempSinceLastReboot",
        "targetTemperature",
    ]
    assert "reportPeriod" not in bench.hub.reported
    assert bench.telemetry()[0] == {"temperature": 23}
    Bench()
    assert "thermostat.status" in sys.modules
