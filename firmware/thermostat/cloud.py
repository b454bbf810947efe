"""The way to the hub: the Plug and Play device, its components and its session.

Built once from the settings; everything that can be wrong with them for this purpose is a
ConfigurationError, and then the appliance runs without a network.
"""

from iothub import identity
from iothub.errors import IdentityError
from iothub.outbox import Outbox
from iothub.session import Session
from pnp.device import Device
from pnp.model import ModelError, load, models_folder
from system.configuration import ConfigurationError
from system.dialer import Dialer
from system.log import Log
from system.tls import make_context

from thermostat.components import BoardComponent, ZoneComponent, report_information
from thermostat.schedule import Schedule

VERSION = "0.1.0"
# A model without components has its one zone at the root
_ROOT = ""


class ZoneLink:
    """A room and the component that speaks for it."""

    def __init__(self, room, component, clock, pace):
        self.room = room
        self.component = component
        self.schedule = Schedule(
            clock,
            pace.zone_period_s * 1000,
            pace.zone_delta_centi_c,
            pace.zone_least_s * 1000,
        )

    def tend(self):
        """Send the room's temperature, if it has one and it is worth a message."""
        centi_c = self.room.temperature_centi_c
        if centi_c is None:
            return
        self.component.on_reading(centi_c)
        if self.schedule.is_due(centi_c) and self.component.send(centi_c):
            self.schedule.note_sent(centi_c)


class Cloud:
    """`device` and `session` of the appliance, and what it sends of its own accord.

    `rooms` are the present ones by name. `restart_after(delay_s)`: for the command `reboot`.
    Raises ConfigurationError.
    """

    def __init__(self, board, clock, files, folder, settings, rooms, set_points, restart_after):
        self.log = Log("pnp")
        self._clock = clock
        self._board = board
        self.device = self._make_device(files, folder, settings)
        self.session = self._make_session(files, folder, settings)
        self._zones = self._bind_zones(settings, rooms, set_points)
        self._root = BoardComponent(
            self.device.component(), board.unique_id(), settings.connectivity, restart_after
        )
        self._root.open_telemetry(self.session)
        information = self.device.component("deviceInformation")
        if information is not None:
            report_information(information, board.information(), VERSION)
        self._memory = Schedule(clock, settings.telemetry.working_set_period_s * 1000, 0, 0)

    def tend(self):
        """Send what is due. To be called about once a second."""
        for zone in self._zones:
            zone.tend()
        if self._memory.is_due(0):
            self._root.send(self._board.heap_in_use())
            self._memory.note_sent(0)

    def _make_device(self, files, folder, settings):
        try:
            model = load(settings.connection.model_id, models_folder(files, folder + "/models"))
        except ModelError as error:
            raise ConfigurationError("model", str(error))
        return Device(model, self._clock, self.log, settings.connection)

    def _make_session(self, files, folder, settings):
        connection = settings.connection
        try:
            who = identity.parse(settings.connection_string)
        except IdentityError as error:
            raise ConfigurationError("connection_string", str(error))
        dialer = Dialer(
            make_context(_roots(files, folder, self._board.data_path, settings)),
            self._clock,
            self._board.resolver,
            connection.dial_timeout_ms,
        )
        outbox = Outbox(
            connection.window,
            connection.packet_bytes,
            connection.telemetry_bytes,
            connection.answer_bytes,
        )
        return Session(
            who,
            dialer,
            self._clock,
            self._board.random_below,
            outbox,
            Log("iothub"),
            self.device,
            connection,
        )

    def _bind_zones(self, settings, rooms, set_points):
        """A component for each zone of the model; those that have a room are sent for."""
        links = []
        has_components = len(self.device.model.components) > 1
        for zone in settings.zones if has_components else settings.zones[:1]:
            component = self.device.component(zone.name if has_components else _ROOT)
            if component is None:
                raise ConfigurationError(
                    "zones", "the model has no component %s" % zone.name, "name zones as it does"
                )
            room = rooms.get(zone.name)
            bound = ZoneComponent(
                component,
                zone,
                settings,
                set_points,
                room.history if room else None,
                self._clock,
            )
            bound.open_telemetry(self.session)
            if room is not None:
                links.append(ZoneLink(room, bound, self._clock, settings.telemetry))
        return links


def _roots(files, folder, data_path, settings):
    """The DER certificates to trust: those configured, else those of Azure."""
    if settings.root_certificates:
        paths = ["%s/%s" % (data_path, name) for name in settings.root_certificates]
    else:
        shipped = folder + "/roots"
        paths = ["%s/%s" % (shipped, name) for name in files.listdir(shipped)]
    roots = []
    for path in paths:
        try:
            with files.open(path, "rb") as stream:
                roots.append(stream.read())
        except OSError:
            raise ConfigurationError("root_certificates", "%s cannot be read" % path)
    return roots
