"""Puts the appliance together from its configuration. Runs once, then leaves the heap again.

Without a usable configuration the rooms are controlled all the same: what cannot be used is
told, with what to do, and the rest is built without it.
"""

import gc
import sys

from drivers.registry import kinds
from drivers.relay import Relay
from iothub import identity
from iothub.errors import IdentityError
from iothub.outbox import Outbox
from iothub.session import Session
from pnp.device import Device
from pnp.model import ModelError, load, models_folder
from system import log
from system.configuration import ConfigurationError
from system.dialer import Dialer
from system.log import Log
from system.store import Flash, Store
from system.tls import make_context

from thermostat import setpoints
from thermostat.app import App
from thermostat.cloud import VERSION, Cloud, ZoneReporter
from thermostat.components import BoardComponent, bind_zones, report_information
from thermostat.history import History
from thermostat.room import Room
from thermostat.settings import Settings

# This file is FIRMWARE/thermostat/assembly.py
_FIRMWARE = __file__.rsplit("/", 2)[0]
CONFIGURATION = "config.json"
SET_POINTS = "setpoints.json"
# What was needed to build and is not needed to run: a third of a small board's heap
_BUILDERS = ("thermostat.assembly", "thermostat.settings", "iothub.identity", "system.tls")


def assemble(board):
    """The App on `board` (see boards/README.md), ready to run."""
    clock = board.clock()
    log.configure(clock=clock)
    teller = Log("thermostat")
    settings = _load_settings(board.data_path, teller)
    log.configure(level=settings.log_level)
    app = App(board, clock, settings)
    app.set_points = _load_set_points(board.data_path, clock, settings)
    try:
        app.rooms = _build_rooms(board, clock, settings, app.set_points)
        if settings.connection_string:
            app.cloud = _build_cloud(app, _FIRMWARE, settings)
    except ConfigurationError as error:
        _tell(teller, error.within(CONFIGURATION))
    board.connect_network(settings.wifi)
    return app


def forget_builders():
    """Let the heap have what only `assemble` needed."""
    for name in _BUILDERS:
        package, _, module = name.partition(".")
        sys.modules.pop(name, None)
        if hasattr(sys.modules[package], module):
            delattr(sys.modules[package], module)
    gc.collect()


def _tell(teller, error):
    teller.error("%s", error)
    teller.error("until then the rooms are controlled without it")


# ---- settings


def _load_settings(folder, teller):
    """The configuration's Settings, or the defaults."""
    store = Store("%s/%s" % (folder, CONFIGURATION), validate=_validate)
    try:
        found = store.load()
        if store.problem:
            teller.warning("%s", store.problem)
            teller.warning("using %s instead", store.source)
        if found is not None:
            return _validate(found)
        teller.warning("there is no %s yet: running without a network", store.path)
    except ConfigurationError as error:
        _tell(teller, error)
    return Settings()


def _validate(found):
    return Settings.from_dict(found, kinds())


def _load_set_points(folder, clock, settings):
    store = Store("%s/%s" % (folder, SET_POINTS), validate=setpoints.check)
    names = [zone.name for zone in settings.zones]
    return setpoints.SetPoints(store, clock, Log("setpoints"), names)


# ---- rooms


def _build_rooms(board, clock, settings, set_points):
    rooms = []
    for at, zone in enumerate(settings.zones):
        if zone.present:
            try:
                board.i2c(zone.bus)
                relay = None if zone.relay is None else Relay(board.relay_pin(zone.relay))
            except (IndexError, ValueError) as error:
                raise ConfigurationError("zones[%d]" % at, "%s: %s" % (board.NAME, error))
            history = History(clock)
            teller = Log("room")
            rooms.append(
                Room(zone, settings.control, relay, board.i2c, set_points, history, teller)
            )
    return rooms


# ---- cloud


def _build_cloud(app, folder, settings):
    clock, board = app.clock, app.board
    device = _build_device(clock, folder, settings)
    session = _build_session(app, device, folder, settings)
    rooms = [_room_of(zone, app.rooms) for zone in settings.zones]
    histories = [room.history if room else None for room in rooms]
    components = bind_zones(device, settings, app.set_points, histories, clock, Log("thermostat"))
    reporters = []
    for room, component in zip(rooms, components):
        if room is not None and component is not None:
            component.open_telemetry(session)
            reporters.append(ZoneReporter(room, component, clock, settings.telemetry))
    root = BoardComponent(
        device.component(), board.unique_id(), settings.connectivity, app.restart_after
    )
    root.open_telemetry(session)
    information = device.component("deviceInformation")
    if information is not None:
        report_information(information, board.information(), VERSION)
    return Cloud(device, session, reporters, root, board, clock, settings.telemetry)


def _room_of(zone, rooms):
    for room in rooms:
        if room.name == zone.name:
            return room
    return None


def _build_device(clock, folder, settings):
    try:
        model = load(settings.connection.model_id, models_folder(Flash, folder + "/models"))
    except ModelError as error:
        raise ConfigurationError("model", str(error))
    return Device(model, clock, Log("pnp"), settings.connection)


def _build_session(app, device, folder, settings):
    connection = settings.connection
    try:
        who = identity.parse(settings.connection_string)
    except IdentityError as error:
        raise ConfigurationError("connection_string", str(error))
    context = make_context(_roots(folder, app.board.data_path, settings.root_certificates))
    dialer = Dialer(context, app.clock, app.board.resolver, connection.dial_timeout_ms)
    outbox = Outbox(
        connection.window,
        connection.packet_bytes,
        connection.telemetry_bytes,
        connection.answer_bytes,
    )
    return Session(
        who,
        dialer,
        app.clock,
        app.board.random_below,
        outbox,
        Log("iothub"),
        device,
        connection,
    )


def _roots(folder, data_path, names):
    """The DER certificates to trust: those configured, else those of Azure."""
    if names:
        paths = ["%s/%s" % (data_path, name) for name in names]
    else:
        shipped = folder + "/roots"
        paths = ["%s/%s" % (shipped, name) for name in Flash.listdir(shipped)]
    return [_content(path) for path in paths]


def _content(path):
    try:
        with Flash.open(path, "rb") as stream:
            return stream.read()
    except OSError:
        raise ConfigurationError("root_certificates", "%s cannot be read" % path)
