"""What a configuration makes of a board; what cannot be used of it is told and left out."""

import json
import os
import sys

from doubles.dps_script import SCOPE, SERVICE
from doubles.keys import KEY
from doubles.session import FakeHub
from doubles.small_board import SmallBoard
from iothub.outbox import Queue
from system import log
from system.modules import forget
from system.spill import Spill
from system.store import Store

FOLDER = "build/tests/assembly-%d" % int.from_bytes(os.urandom(3), "big")
CONNECTION = "HostName=hub.example.net;DeviceId=stove-1;SharedAccessKey=" + KEY
X509 = "HostName=hub.example.net;DeviceId=stove-1;x509=true"
PROVISIONING = {"host": SERVICE, "id_scope": SCOPE, "registration_id": "stove-1", "key": KEY}
HALL = {"name": "thermostat1", "sensor": "sht4x", "bus": 0, "relay": 0}
ATTIC = {"name": "thermostat2", "sensor": "sht4x", "bus": 1, "relay": 1}


class House:
    """A board in a folder of its own, with these `files`; `assembled` with these members of a
    configuration. In place of `system.tls` it keeps what contexts are asked for: CPython wants
    the names of files where MicroPython wants what is in them."""

    def __init__(self, files=None):
        self.board = SmallBoard(FOLDER)
        self.lines = []
        self.contexts = []  # (roots, own certificate and key ...)
        self.refusal = None
        for name in files or {}:
            self.board.write(name, files[name])

    def make_context(self, roots, *own):
        self.contexts.append((roots,) + own)
        if self.refusal is not None:
            raise self.refusal
        return self

    def assembled(self, text=None, **members):
        if members:
            members["version"] = 1
            text = json.dumps(members)
        if text is not None:
            self.board.write("config.json", text.encode())
        # As in a process of its own
        forget(("thermostat.assembly", "thermostat.provisioning", "iothub.identity"))
        before = log.level, log.sink, log.clock
        log.sink = self.lines.append
        sys.modules["system.tls"] = self
        try:
            from thermostat.assembly import assemble

            return assemble(self.board)
        finally:
            log.level, log.sink, log.clock = before
            forget(("system.tls",))

    def tells(self, text):
        return any(text in line for line in self.lines)


def names(app):
    return [room.name for room in app.rooms]


def test_without_a_configuration_the_rooms_are_there_and_nobody_is_dialed():
    house = House()
    app = house.assembled()
    assert names(app) == ["thermostat1", "thermostat2"]
    assert app.cloud is None and app.provisioning is None and app.doubt_from_s is None
    assert house.tells("WARNING thermostat: there is no")
    assert not house.tells("ERROR")
    assert house.contexts == []
    # Relays that were on are off, before anything is regulated
    assert [pin.level for pin in house.board.pins] == [0, 0]
    # A network for which there is no name is the board's affair
    assert house.board.joined == [""]


def test_a_connection_string_makes_the_device_of_the_model():
    house = House()
    app = house.assembled(
        connection_string=CONNECTION, wifi={"ssid": "house"}, connectivity="cable"
    )
    assert not house.tells("ERROR")
    assert house.board.joined == ["house"]
    session = app.cloud.session
    assert (session.identity.host, session.identity.device_id) == ("hub.example.net", "stove-1")
    assert (session.state, app.doubt_from_s) == ("offline", None)
    hub = FakeHub(app.cloud.device)
    hub.connect()
    assert hub.reported["connectivity"] == "cable"
    assert hub.reported["serialNumber"] == "e6614104"
    told = hub.reported["deviceInformation"]
    assert (told["manufacturer"], told["totalMemory"]) == ("Nobody", 264)
    assert told["swVersion"].count(".") == 2
    # What the board does not say, nobody says
    assert "osName" not in told
    for zone in ("thermostat1", "thermostat2"):
        assert hub.reported[zone]["targetTemperature"]["value"] == 21


def test_a_model_without_components_has_one_zone_and_tells_nothing_of_the_board():
    app = House().assembled(
        connection_string=CONNECTION, model="dtmi:com:example:Thermostat;1", zones=[HALL]
    )
    hub = FakeHub(app.cloud.device)
    hub.connect()
    assert hub.reported["targetTemperature"]["value"] == 21
    assert "deviceInformation" not in hub.reported


def test_the_log_is_as_loud_as_it_was_asked_to_be():
    house = House()
    house.assembled(log_level="error", connection_string="none")
    assert house.tells("ERROR")
    assert not house.tells("INFO") and not house.tells("WARNING")
    house = House()
    house.assembled(log_level="off", connection_string="none")
    assert house.lines == []


def test_who_keeps_the_time():
    """A board by itself does not; servers that are named are asked in any case."""
    for keeps, servers, is_asked in (
        (True, None, False),
        (False, None, True),
        (True, ["10.0.0.1:123"], True),
        (False, ["10.0.0.1"], True),
        (False, [], False),
    ):
        house = House()
        house.board.KEEPS_TIME = keeps
        app = house.assembled(**({} if servers is None else {"ntp_servers": servers}))
        assert (app.new_timekeeper is not None) == is_asked, (keeps, servers)


def test_a_zone_that_is_not_fitted_has_no_room():
    zones = [dict(HALL, present=False), ATTIC]
    house = House()
    app = house.assembled(zones=zones, connection_string=CONNECTION)
    assert names(app) == ["thermostat2"]
    assert not house.tells("ERROR")
    assert len(app.cloud.zones) == 2


def test_a_zone_that_only_measures_takes_no_relay():
    house = House()
    app = house.assembled(zones=[dict(HALL, relay=None)])
    assert names(app) == ["thermostat1"]
    assert [pin.levels for pin in house.board.pins] == [[], []]


def test_a_zone_that_the_model_does_not_know_is_heated_and_told_of():
    house = House()
    app = house.assembled(zones=[dict(HALL, name="attic")], connection_string=CONNECTION)
    assert names(app) == ["attic"]
    assert house.tells("zone attic is no component of the model")


UNUSABLE = (
    # members, files, what is told, whether there is a cloud all the same, rooms
    ({"zones": [dict(HALL, bus=5), ATTIC]}, (), "zones[0].bus: bus must be", 1, 1),
    (
        {"zones": [dict(HALL, relay=9), ATTIC]},
        (),
        "zones[0].relay: SMALL has no relay 9; correct the file",
        1,
        1,
    ),
    ({"model": "dtmi:com:example:Toaster;1"}, (), "model: no model dtmi:com:example:Toast", 0, 2),
    ({"connection_string": "HostName=h;DeviceId=d"}, (), "connection_string: it has no Sha", 0, 2),
    ({"connection_string": X509}, (), "certificate: is missing", 0, 2),
    (
        {"connection_string": X509, "certificate": "d.der", "private_key": "k.der"},
        ("k.der",),
        "certificate: d.der cannot be read; correct the file and start again",
        0,
        2,
    ),
    (
        {"connection_string": X509, "certificate": "d.der", "private_key": "k.der"},
        ("d.der",),
        "private_key: k.der cannot be read",
        0,
        2,
    ),
    ({"root_certificates": ["ca.der"]}, (), "root_certificates: ca.der cannot be read", 0, 2),
    (
        {"connection_string": "", "provisioning": dict(PROVISIONING, key="!")},
        (),
        "provisioning: SharedAccessKey is not base64",
        0,
        2,
    ),
    (
        {"connection_string": "", "provisioning": dict(PROVISIONING, key="")},
        (),
        "certificate: is missing, and x509=true in connection_string, or provisioning,",
        0,
        2,
    ),
)


def test_what_cannot_be_used_is_told_with_its_key_and_the_rest_is_there():
    for members, files, text, has_cloud, rooms in UNUSABLE:
        house = House(dict.fromkeys(files, b"x"))
        members = dict({"connection_string": CONNECTION, "wifi": {"ssid": "house"}}, **members)
        app = house.assembled(**members)
        assert house.tells("ERROR thermostat: config.json: " + text), (text, house.lines)
        assert house.tells("until then the rooms are controlled without it")
        assert (app.cloud is not None) == bool(has_cloud), text
        assert app.provisioning is None
        assert len(app.rooms) == rooms, text
        assert house.board.joined == ["house"], text
        assert KEY not in "".join(house.lines)


def test_a_file_that_is_no_configuration_is_told_and_the_rooms_are_the_usual_ones():
    house = House()
    app = house.assembled("{")
    assert names(app) == ["thermostat1", "thermostat2"]
    assert house.tells("config.json: is not JSON")
    assert house.tells("until then")


def test_certificates_that_are_not_as_mbedtls_reads_them_are_told_by_their_keys():
    own = {"certificate": "d.der", "private_key": "k.der"}
    files = {"d.der": b"PEM", "k.der": b"PEM"}
    for members, keys in (
        ({"connection_string": CONNECTION}, "root_certificates: "),
        (
            dict(own, connection_string=X509),
            "root_certificates, certificate, private_key: ",
        ),
    ):
        house = House(files)
        house.refusal = ValueError("invalid cert")
        app = house.assembled(**members)
        assert app.cloud is None
        assert house.tells("config.json: " + keys + "one of the files is not in DER form; conv")


def test_more_than_the_heap_has_costs_the_connection_and_no_room():
    def fail():
        raise MemoryError

    house = House()
    house.board.information = fail
    app = house.assembled(connection_string=CONNECTION)
    assert app.cloud is None
    assert names(app) == ["thermostat1", "thermostat2"]
    assert house.tells("connection: more bytes than this board has; lower its ..._bytes")


def test_who_is_trusted_is_azure_or_who_was_named():
    house = House({"ca.der": b"authority"})
    house.assembled(connection_string=CONNECTION)
    shipped = house.contexts[0][0]
    assert len(shipped) >= 2
    for root in shipped:
        assert root[:1] == b"\x30"
    assert house.contexts == [(shipped,)]
    house.contexts.clear()
    house.assembled(connection_string=CONNECTION, root_certificates=["ca.der"])
    assert house.contexts == [([b"authority"],)]


def test_a_device_that_is_known_by_its_certificate_shows_it():
    house = House({"d.der": b"certificate", "k.der": b"key"})
    app = house.assembled(connection_string=X509, certificate="d.der", private_key="k.der")
    assert house.contexts[0][1:] == (b"certificate", b"key")
    assert app.cloud.session.identity.key is None


def test_before_a_hub_is_assigned_the_service_is_asked_and_there_is_no_cloud():
    house = House()
    app = house.assembled(provisioning=PROVISIONING)
    assert not house.tells("ERROR")
    assert app.cloud is None and app.doubt_from_s is None
    who = app.provisioning.identity
    assert (who.host, who.device_id, who.dial_host) == (SCOPE, "stove-1", SERVICE)
    assert len(house.contexts) == 1
    assert "thermostat.provisioning" not in sys.modules
    # By certificate
    house = House({"d.der": b"certificate", "k.der": b"key"})
    app = house.assembled(
        provisioning=dict(PROVISIONING, key=""), certificate="d.der", private_key="k.der"
    )
    assert app.provisioning.identity.key is None
    assert house.contexts[0][1:] == (b"certificate", b"key")


def test_once_a_hub_is_assigned_the_service_is_not_asked():
    house = House()
    Store(FOLDER + "/assigned.json").save(
        {"scope": SCOPE, "registration": "stove-1", "host": "hub7.example.net", "device": "s7"}
    )
    app = house.assembled(provisioning=PROVISIONING)
    assert app.provisioning is None and app.doubt_from_s == 0
    who = app.cloud.session.identity
    assert (who.host, who.device_id) == ("hub7.example.net", "s7")


def spill(device, count=7):
    """Messages of `device` at the hub, as a start before this one has left them on flash."""
    queue = Queue(1024)
    for number in range(count):
        assert queue.put(b"devices/%s/messages/events/" % device, b"", b"%d" % number, 1)
    owner = b"hub.example.net/" + device
    Spill(FOLDER, 9999, owner).put(memoryview(queue.buffer)[: queue.end], count)


def left_on_flash():
    return [name for name in os.listdir(FOLDER) if name.startswith("spill-")]


def test_messages_of_an_earlier_start_are_taken_over():
    house = House()
    spill(b"stove-1")
    app = house.assembled(connection_string=CONNECTION)
    assert app.cloud.session.outbox.accepted == 7
    house = House()
    app = house.assembled(connection_string=CONNECTION)
    assert app.cloud.session.outbox.accepted == 0
    # Nothing goes to flash where nothing may
    house = House()
    spill(b"stove-1")
    app = house.assembled(connection_string=CONNECTION, connection={"spill_bytes": 0})
    assert app.cloud.session.outbox.accepted == 0


def test_messages_of_the_device_that_the_board_was_before_are_taken_away():
    """The hub ends each link on which they are sent: this device would never get beyond them."""
    house = House()
    spill(b"other")
    app = house.assembled(connection_string=CONNECTION)
    assert app.cloud.session.outbox.accepted == 0
    assert left_on_flash() == []


def test_what_only_the_start_needs_is_out_of_the_heap_afterwards():
    house = House()
    app = house.assembled(connection_string=CONNECTION)
    sys.modules["thermostat.assembly"].forget_builders()
    assert app.cloud is not None
    for name in ("assembly", "settings", "provisioning"):
        assert "thermostat." + name not in sys.modules, name
    for name in ("pnp.model", "iothub.identity", "system.tls"):
        assert name not in sys.modules, name
