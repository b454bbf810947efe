"""What the cloud has of a thermostat, put together as the firmware does it, around doubles."""

from doubles.fs import FakeFlash
from doubles.log import FakeLog
from doubles.models import open_text
from doubles.session import FakeHub
from pnp.desired import apply
from pnp.device import Device
from pnp.model import load
from thermostat.assembly import bind_zones, build_cloud
from thermostat.setpoints import SetPoints
from thermostat.settings import defaults


class CloudBench:
    """All components of a thermostat on the model `dtmi`.

    `make_room(zone)` gives what stands for the room of a fitted zone; the set points are there by
    then. `kept`: set points of an earlier start.
    """

    def __init__(self, dtmi, settings, clock, session, board, make_room, kept=None):
        self.settings = settings or defaults()
        self.clock = clock
        self.log = FakeLog()
        self.set_points = SetPoints("s.json", clock, self.log, FakeFlash())
        for name in kept or {}:
            self.set_points.set(name, kept[name])
        self.rooms = [make_room(zone) for zone in self.settings.zones if zone.present]
        self.device = Device(load(dtmi, open_text), self.log, self.settings.connection, apply)
        self.session = session
        self.zones = bind_zones(
            self.device, self.settings, self.set_points, self.rooms, session, clock, self.log
        )
        self.restarts = []
        self.board = board
        after = self.restarts.append
        self.cloud = build_cloud(
            self.device, session, self.zones, board, self.settings, clock, after
        )
        self.hub = FakeHub(self.device)
