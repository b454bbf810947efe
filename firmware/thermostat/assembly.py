"""Puts the appliance together from its configuration. Runs once, then leaves the heap again.

Without a usable configuration the rooms are controlled all the same: what cannot be used is
told, with what to do, and the rest is built without it.

Modules are imported where they are needed: what reads the configuration is out of the heap
before what speaks to the hub comes in.
"""

import gc
import os

from micropython import const
from system import log
from system.modules import forget, later

VERSION = "0.1.0"
# This file is FIRMWARE/thermostat/assembly.py
_FIRMWARE = __file__.rpartition("/thermostat/")[0]
# Where a component has no zone; as in thermostat/settings.py
_TARGET_CENTI_C = const(2100)


class _Trouble(Exception):
    """What cannot be used of the configuration; the text says why, and what to do."""

    def __init__(self, key, error, advice="correct the file and start again"):
        reason, _, own_advice = str(error).partition("; ")
        super().__init__("config.json: %s: %s; %s" % (key, reason, own_advice or advice))


def assemble(board):
    """The App on `board` (see boards/README.md), ready to run."""
    clock = board.clock()
    log.clock = clock
    teller = log.Log("thermostat")
    settings, trouble = _read_settings(board.data_path, teller)
    log.level = settings.log_level
    from thermostat.app import App
    from thermostat.setpoints import SetPoints

    app = App(board, clock, settings)
    app.set_points = SetPoints(board.data_path + "/setpoints.json", clock, log.Log("setpoints"))
    _restore(app.set_points, [zone.name for zone in settings.zones])
    for at, zone in enumerate(settings.zones):
        # One that cannot be used leaves the others as they are
        try:
            if zone.present:
                _add_room(app, "zones[%d]." % at, zone, settings.control)
        except _Trouble as error:
            trouble = error
    # None where the system keeps the clock, unless servers are configured
    servers = settings.ntp_servers
    if servers or (servers is None and not getattr(board, "KEEPS_TIME", False)):
        app.new_timekeeper = later(
            ("system.ntp",), "Timekeeper", servers, board, clock, log.Log("clock")
        )
    gc.collect()
    try:
        if settings.provisioning:
            _use_provisioning(app, settings)
        if settings.connection_string:
            app.cloud = _build_cloud(app, settings, teller)
    except _Trouble as error:
        trouble = error
    except MemoryError:
        trouble = _Trouble("connection", "more bytes than this board has; lower its ..._bytes")
    if trouble:
        teller.error("%s", trouble)
        teller.error("until then the rooms are controlled without it")
    board.connect_network(settings.wifi)
    return app


def forget_builders():
    """Let the heap have what only `assemble` needed."""
    forget(("thermostat.assembly",))


def _read_settings(folder, teller):
    from drivers.registry import kinds

    from thermostat.settings import load

    found = load(folder, kinds(), teller)
    del load
    forget(("thermostat.settings", "system.store"))
    return found


def _restore(set_points, names):
    from thermostat.kept import restore

    restore(set_points, names)
    del restore
    forget(("thermostat.kept", "system.store"))


def _add_room(app, path, zone, settings):
    from drivers.registry import bus_opener

    from thermostat.history import History
    from thermostat.room import Room

    board = app.board
    open_bus = bus_opener(zone.sensor, board)
    try:
        open_bus(zone.bus)
        pin = None if zone.relay is None else board.relay_pin(zone.relay)
    except ValueError as error:
        raise _Trouble(path + "bus", error)
    except IndexError:
        raise _Trouble(path + "relay", "%s has no relay %d" % (board.NAME, zone.relay))
    history = History(app.clock)
    room = Room(zone, settings, pin, open_bus, app.set_points, history, log.Log("room"))
    app.rooms.append(room)


def _build_cloud(app, settings, teller):
    from iothub.outbox import Outbox

    clock, board, connection = app.clock, app.board, settings.connection
    # The largest pieces of the heap first, while it is still whole
    outbox = Outbox(
        connection.window,
        connection.packet_bytes,
        connection.telemetry_bytes,
        connection.answer_bytes,
    )
    device = _build_device(_FIRMWARE + "/models", connection)
    forget(("pnp.model",))
    session = _build_session(app, device, outbox, settings)
    forget(("iothub.identity", "system.tls"))
    if connection.spill_bytes:
        _use_flash(outbox, board.data_path, connection.spill_bytes, session.identity)
    zones = bind_zones(device, settings, app.set_points, app.rooms, session, clock, teller)
    report_information(device, board.information())
    return build_cloud(device, session, zones, board, settings, clock, app.restart_after)


def _use_flash(outbox, folder, most_bytes, identity):
    """Let telemetry wait there, and take over what this device has left there before."""
    owner = "%s/%s" % (identity.host, identity.device_id)
    outbox.open_spill = later(("system.spill",), "Spill", folder, most_bytes, owner.encode())
    if any(name.startswith("spill-") for name in os.listdir(folder or "/")):
        outbox.recover()


def _use_provisioning(app, settings):
    """The connection string of the hub that was assigned, or what asks for one."""
    from iothub.identity import IdentityError

    from thermostat import provisioning

    board, clock, connection = app.board, app.clock, settings.connection
    try:
        settings.connection_string = provisioning.connection_string(board.data_path, settings)
        if settings.connection_string:
            app.doubt_from_s = provisioning.doubt_from_s(board.data_path)
        else:
            from iothub.dps import Provisioning

            who = provisioning.identity(settings)
            app.provisioning = Provisioning(
                who,
                {"modelId": connection.model_id},
                _dialer(app, settings, who.key is None),
                clock,
                board.random_below,
                log.Log("dps"),
                connection,
            )
    except IdentityError as error:
        raise _Trouble("provisioning", error)
    forget(("thermostat.provisioning", "system.store"))


def _build_device(folder, connection):
    from pnp.device import Device
    from pnp.model import ModelError, load, models_folder

    try:
        interfaces = load(connection.model_id, models_folder(folder, os.listdir(folder)))
    except ModelError as error:
        raise _Trouble("model", error, "choose another, or correct its file in models/")
    return Device(interfaces, log.Log("pnp"), connection, later(("pnp.desired",), "apply"))


def _build_session(app, device, outbox, settings):
    from iothub.identity import IdentityError, parse
    from iothub.session import Session

    board, clock, connection = app.board, app.clock, settings.connection
    try:
        who = parse(settings.connection_string)
    except IdentityError as error:
        raise _Trouble("connection_string", error)
    return Session(
        who,
        _dialer(app, settings, who.key is None),
        clock,
        board.random_below,
        outbox,
        log.Log("iothub"),
        device,
        connection,
        later(("iothub.greeting", "iothub.sas"), "greet"),
    )


def _dialer(app, settings, has_certificate):
    from system.dialer import Dialer

    context = _tls_context(app.board.data_path, settings, has_certificate)
    return Dialer(context, app.clock, app.board.resolver, settings.connection.dial_timeout_ms)


def _tls_context(folder, settings, has_certificate):
    """`has_certificate`: the device is known by one, instead of by a key."""
    from system.tls import make_context

    own = []
    if has_certificate:
        if not settings.certificate:
            raise _Trouble(
                "certificate",
                "is missing, and x509=true in connection_string, or provisioning, wants it; "
                'put the names of its file and of "private_key", both in DER form',
            )
        own = _contents("certificate", folder, (settings.certificate,))
        own += _contents("private_key", folder, (settings.private_key,))
    roots = settings.root_certificates
    shipped = _FIRMWARE + "/roots"
    try:
        return make_context(
            # Those configured, else those of Azure
            _contents("root_certificates", folder, roots)
            if roots
            else _contents("root_certificates", shipped, os.listdir(shipped)),
            *own,
        )
    except ValueError:
        raise _Trouble(
            "root_certificates" + ", certificate, private_key" * has_certificate,
            "one of the files is not in DER form; "
            "convert it (openssl x509 -outform der; openssl pkey) and start again",
        )


def _contents(key, folder, names):
    contents = []
    for name in names:
        try:
            with open("%s/%s" % (folder, name), "rb") as stream:
                contents.append(stream.read())
        except OSError:
            raise _Trouble(key, "%s cannot be read" % name)
    return contents


def bind_zones(device, settings, set_points, rooms, session, clock, teller):
    """The ZoneComponents of the model. A zone is the component of its name; a model without
    components (`Thermostat;1`) has one zone, at its root: the first of the configuration. What the
    root has to set of all of them is bound as well."""
    defaults = {zone.name: zone.target_centi_c for zone in settings.zones}
    rooms = {room.name: room for room in rooms}
    bound = []
    for component in device.components:
        if "targetTemperature" in component.interface.properties:
            name = component.name or settings.zones[0].name
            target = defaults.pop(name, _TARGET_CENTI_C)
            room = rooms.get(name)
            zone = _zone_kind(component.interface)
            bound.append(zone(component, name, target, room, set_points, settings, session, clock))
    for name in defaults:
        teller.warning("zone %s is no component of the model: the hub will not see it", name)
    root = device.component()
    if "reportPeriod" in root.interface.properties:
        from thermostat.status import bind_report_period

        bind_report_period(root, bound, settings.telemetry)
    return bound


def build_cloud(device, session, zones, board, settings, clock, restart_after):
    """The Cloud, with what the model's root tells of the board and lets the service do to it."""
    from pnp.telemetry import Telemetry

    from thermostat.cloud import Cloud, Schedule

    root = device.component()
    interface, working_set = root.interface, None
    root.report("connectivity", settings.connectivity)
    if "serialNumber" in interface.properties:
        root.report("serialNumber", board.unique_id())
    if "workingSet" in interface.telemetry:
        working_set = Telemetry(session, root, ("workingSet",), (1,))
    schedule = Schedule(clock, settings.telemetry.working_set_period_s, 0, 0)
    cloud = Cloud(device, session, zones, board, restart_after, working_set, schedule)
    if "reboot" in interface.commands:
        root.bind_command("reboot", cloud.reboot)
    return cloud


def _zone_kind(interface):
    if "heating" in interface.properties:
        from thermostat.status import HeatedZone

        return HeatedZone
    from thermostat.cloud import ZoneComponent

    return ZoneComponent


def report_information(device, information):
    """Tell of the board what the model asks for; `information`: see boards/README.md."""
    component = device.component("deviceInformation")
    if component is not None:
        for name in component.interface.properties:
            value = VERSION if name == "swVersion" else information.get(name)
            if value is not None:
                component.report(name, value)
