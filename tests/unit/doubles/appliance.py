"""A device of the sample controller whose set points live in plain lists."""

from doubles.clock import FakeClock
from doubles.log import FakeLog
from doubles.models import CONTROLLER, open_text
from doubles.session import FakeHub
from doubles.settings import Settings
from pnp.desired import apply
from pnp.device import Device, Rejected
from pnp.model import load

LOWEST = 5
HIGHEST = 45
DEFAULT = 20


class Zone:
    """A set point with bounds, and a switch that makes its handler fail."""

    def __init__(self):
        self.target = DEFAULT
        self.applied = []
        self.fails = False

    def apply(self, value):
        if self.fails:
            raise RuntimeError("the flash is on fire")
        if not LOWEST <= value <= HIGHEST:
            raise Rejected("outside 5 to 45", self.target)
        self.target = round(value * 100) / 100
        self.applied.append(value)
        return self.target


class Bench:
    """The device, its zones, its hub, clock and log."""

    def __init__(self, settings=None, dtmi=CONTROLLER):
        self.clock = FakeClock()
        self.log = FakeLog()
        self.device = Device(load(dtmi, open_text), self.log, settings or Settings(), apply)
        self.zones = {}
        for name in ("thermostat1", "thermostat2") if dtmi == CONTROLLER else ("",):
            self.zones[name] = zone = Zone()
            component = self.device.component(name)
            component.bind_property("targetTemperature", zone.apply, DEFAULT)
        self.hub = FakeHub(self.device)

    def version(self):
        """A desired version that is new to the device."""
        return self.device.desired_version + 1

    def restart(self):
        """The device starts again: nothing remembered, the hub's twin as it was."""
        fresh = Bench()
        fresh.hub.desired = self.hub.desired
        fresh.hub.reported = self.hub.reported
        return fresh


def ack(value, code, version):
    """An acknowledgement without its text, which `bare` takes off."""
    return {"value": value, "ac": code, "av": version}


def bare(entry):
    """`entry` of a reported patch without `ad`, which must be there."""
    assert isinstance(entry.pop("ad"), str)
    return entry
