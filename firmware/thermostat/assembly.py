"""Puts the appliance together from its configuration. Runs once, then leaves the heap again.

Without a usable configuration the rooms are controlled all the same: what cannot be used is
told, with what to do, and the rest is built without it.

Modules are imported where they are needed: what reads the configuration is out of the heap
before what speaks to the hub comes in.
"""

import gc
import os

from drivers.registry import bus_opener, kinds
from micropython import const
from system import log
from system.configuration import ConfigurationError
from system.log import Log
from system.modules import forget

# This file is FIRMWARE/thermostat/assembly.py
_FIRMWARE = __file__.rpartition("/thermostat/")[0]
SET_POINTS = "setpoints.json"
# Needed to read the configuration, and to build what it asks for
_READERS = const(
    (
        "thermostat.loading",
        "thermostat.settings",
        "thermostat.zones",
        "system.section",
        "system.store",
    )
)
_MODEL_READER = const(("pnp.model",))
_SESSION_BUILDERS = const(("iothub.identity", "system.tls"))
_BUILDERS = const(("thermostat.assembly",))


def assemble(board):
    """The App on `board` (see boards/README.md), ready to run."""
    clock = board.clock()
    log.configure(clock=clock)
    teller = Log("thermostat")
    settings, trouble = _load_settings(board.data_path, teller)
    log.configure(level=settings.log_level)
    from thermostat.app import App

    app = App(board, clock, settings)
    app.set_points = _load_set_points(board.data_path, clock, settings)
    for at, zone in enumerate(settings.zones):
        try:
            _add_room(app.rooms, at, zone, board, clock, settings, app.set_points)
        except ConfigurationError as error:
            trouble = error.within("config.json")
    app.timekeeper = _build_timekeeper(board, clock, settings.ntp_servers)
    gc.collect()
    try:
        if settings.connection_string:
            app.cloud = _build_cloud(app, _FIRMWARE, settings)
    except ConfigurationError as error:
        trouble = error.within("config.json")
    except MemoryError:
        trouble = ConfigurationError(
            "connection", "more bytes than this board has", "lower its ..._bytes", "config.json"
        )
    if trouble:
        teller.error("%s", trouble)
        teller.error("until then the rooms are controlled without it")
    board.connect_network(settings.wifi)
    return app


def forget_builders():
    """Let the heap have what only `assemble` needed."""
    forget(_BUILDERS)


# ---- settings


def _load_settings(folder, teller):
    from thermostat.loading import load

    found = load(folder, kinds(), teller)
    del load
    forget(_READERS)
    return found


def _load_set_points(folder, clock, settings):
    from thermostat.setpoints import SetPoints, SetPointsFile

    names = [zone.name for zone in settings.zones]
    file = SetPointsFile("%s/%s" % (folder, SET_POINTS))
    return SetPoints(file, clock, Log("setpoints"), names)


def _build_timekeeper(board, clock, servers):
    """None where the system keeps the clock, unless servers are configured."""
    if servers == [] or (servers is None and getattr(board, "KEEPS_TIME", False)):
        return None
    from system.ntp import SERVERS, Timekeeper

    return Timekeeper(servers or SERVERS, board, clock, Log("clock"))


# ---- rooms


def _add_room(rooms, at, zone, board, clock, settings, set_points):
    """One zone that cannot be used leaves the others as they are. Raises ConfigurationError."""
    from drivers.relay import Relay

    from thermostat.history import History
    from thermostat.room import Room

    if not zone.present:
        return
    open_bus = bus_opener(zone.sensor, board)
    try:
        open_bus(zone.bus)
        relay = None if zone.relay is None else Relay(board.relay_pin(zone.relay))
    except ValueError as error:
        raise ConfigurationError("zones[%d].bus" % at, str(error))
    except IndexError:
        reason = "%s has no relay %d" % (board.NAME, zone.relay)
        raise ConfigurationError("zones[%d].relay" % at, reason)
    history = History(clock)
    teller = Log("room")
    rooms.append(Room(zone, settings.control, relay, open_bus, set_points, history, teller))


# ---- cloud


def _build_cloud(app, folder, settings):
    from thermostat.cloud import VERSION, Cloud, ZoneReporter
    from thermostat.components import BoardComponent, bind_zones, report_information

    clock, board = app.clock, app.board
    # The largest pieces of the heap first, while it is still whole
    outbox = _build_outbox(settings.connection)
    device = _build_device(folder + "/models", settings)
    forget(_MODEL_READER)
    session = _build_session(app, device, outbox, folder, settings)
    forget(_SESSION_BUILDERS)
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


def _build_device(folder, settings):
    from pnp.device import Device
    from pnp.model import ModelError, load, models_folder

    try:
        files = models_folder(folder, os.listdir(folder))
        interfaces = load(settings.connection.model_id, files)
    except ModelError as error:
        reason, _, advice = str(error).partition("; ")
        raise ConfigurationError(
            "model", reason, advice or "choose another, or correct its file in models/"
        )
    return Device(interfaces, Log("pnp"), settings.connection)


def _build_outbox(connection):
    from iothub.outbox import Outbox

    return Outbox(
        connection.window,
        connection.packet_bytes,
        connection.telemetry_bytes,
        connection.answer_bytes,
    )


def _build_session(app, device, outbox, folder, settings):
    from iothub import identity
    from iothub.session import Session
    from system.dialer import Dialer

    connection = settings.connection
    try:
        who = identity.parse(settings.connection_string)
    except identity.IdentityError as error:
        raise ConfigurationError("connection_string", str(error))
    context = _tls_context(folder, app.board.data_path, settings, who.key is None)
    dialer = Dialer(context, app.clock, app.board.resolver, connection.dial_timeout_ms)
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


def _tls_context(folder, data_path, settings, has_certificate):
    from system.tls import make_context

    roots = _roots(folder, data_path, settings.root_certificates)
    own = []
    if has_certificate:
        if not settings.certificate:
            raise ConfigurationError(
                "certificate",
                "is missing, and x509=true in connection_string wants it",
                'put the names of its file and of "private_key", both in DER form',
            )
        for key in ("certificate", "private_key"):
            own.append(_content("%s/%s" % (data_path, getattr(settings, key)), key))
    try:
        return make_context(roots, *own)
    except ValueError:
        raise ConfigurationError(
            "root_certificates" + ", certificate, private_key" * has_certificate,
            "one of the files is not in DER form",
            "convert it (openssl x509 -outform der; openssl pkey) and start again",
        )


def _roots(folder, data_path, names):
    """The DER certificates to trust: those configured, else those of Azure."""
    if names:
        paths = ["%s/%s" % (data_path, name) for name in names]
    else:
        shipped = folder + "/roots"
        paths = ["%s/%s" % (shipped, name) for name in os.listdir(shipped)]
    return [_content(path, "root_certificates") for path in paths]


def _content(path, key):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        raise ConfigurationError(key, "%s cannot be read" % path)
