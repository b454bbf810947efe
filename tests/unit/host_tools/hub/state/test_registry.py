import base64

from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.c2d import Message
from host_tools.hub.state.errors import HubError
from host_tools.hub.storage import StorageError

KEY = base64.b64encode(b"k" * 32).decode()


def test_a_created_device_has_everything():
    hub = make_hub()
    identity = hub.registry.create({"deviceId": "d1", "authentication": None})
    assert identity["status"] == "enabled"
    assert identity["connectionState"] == "Disconnected"
    assert identity["lastActivityTime"] == "0001-01-01T00:00:00Z"
    assert identity["authentication"]["type"] == "sas"
    assert identity["generationId"] == "638355968000000000"
    primary, secondary = hub.registry.keys("d1")
    assert len(primary) == len(secondary) == 32
    assert primary != secondary
    assert hub.registry.get("d1") == identity


def test_given_keys_are_kept_and_absent_ones_made():
    hub = make_hub()
    keys = {"symmetricKey": {"primaryKey": KEY, "secondaryKey": ""}}
    hub.registry.create({"deviceId": "d1", "authentication": keys})
    assert hub.registry.keys("d1")[0] == b"k" * 32
    assert len(hub.registry.keys("d1")[1]) == 32


def test_ids_follow_the_character_rule():
    hub = make_hub()
    hub.registry.create({"deviceId": "aZ09-:.+%_#*?!(),=@;$'"})
    hub.registry.create({"deviceId": "x" * 128})
    for bad in ("", "x" * 129, "a b", "a/b", "\u00e9", "a\n", 'a"', 5, None, ["a"]):
        with raises(HubError, "device id") as refused:
            hub.registry.create({"deviceId": bad})
        assert refused.error.code == 400004


def test_ids_are_case_sensitive_and_unique():
    hub = make_hub("d1", "D1")
    with raises(HubError) as refused:
        hub.registry.create({"deviceId": "d1"})
    assert (refused.error.code, refused.error.http_status) == (409001, 409)


def test_wrong_identities_are_refused():
    hub = make_hub()
    for wrong in (
        {"status": "asleep"},
        {"status": 1},
        {"statusReason": 5},
        {"statusReason": "x" * 129},
        {"authentication": []},
        {"authentication": {"type": "password"}},
        {"authentication": {"type": ["sas"]}},
        {"authentication": {"symmetricKey": "x"}},
        {"authentication": {"symmetricKey": {"primaryKey": "not base64!"}}},
        {"authentication": {"symmetricKey": {"primaryKey": "c2hvcnQ="}}},
        {"authentication": {"symmetricKey": {"primaryKey": 5}}},
        {"authentication": {"type": "selfSigned"}},
        {"authentication": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": "x"}}},
        {"capabilities": {"iotEdge": "yes"}},
        {"deviceScope": 1},
        {"parentScopes": "a"},
        {"parentScopes": [1]},
    ):
        with raises(HubError) as refused:
            hub.registry.create({"deviceId": "d1", **wrong})
        assert refused.error.code == 400004, wrong
    assert not hub.registry.exists("d1")


def test_update_needs_the_etag_and_keeps_what_is_absent():
    hub = make_hub("d1")
    before = hub.registry.get("d1")
    after = hub.registry.update("d1", {"statusReason": "moved"}, '"%s"' % before["etag"])
    assert after["etag"] != before["etag"]
    assert after["authentication"] == before["authentication"]
    assert after["generationId"] == before["generationId"]
    with raises(HubError) as refused:
        hub.registry.update("d1", {}, before["etag"])
    assert refused.error.code == 412001
    hub.registry.update("d1", {"deviceId": "d1"}, "*")
    with raises(HubError) as refused:
        hub.registry.update("d1", {"deviceId": "d2"}, "*")
    assert refused.error.code == 400004


def test_a_disabled_device_is_disconnected():
    hub = make_hub("d1")
    connection = FakeConnection()
    hub.connections.attach("d1", connection)
    hub.clock.now_s += 5
    identity = hub.registry.update("d1", {"status": "disabled"}, "*")
    assert "disabled" in connection.closed
    assert identity["connectionState"] == "Disconnected"
    assert identity["statusUpdatedTime"] == "2023-11-14T22:13:25.000000Z"
    assert not hub.registry.is_enabled("d1")


def test_a_deleted_device_leaves_nothing_for_its_successor(tmp_path):
    hub = make_hub("d1", path=tmp_path / "state")
    connection = FakeConnection()
    hub.connections.attach("d1", connection)
    hub.connections.subscribe("d1", "devices/d1/messages/devicebound/#", 1)
    hub.c2d.send("d1", Message(b"x"))
    hub.twins.update_reported("d1", {"a": 1})
    former = hub.registry.get("d1")
    with raises(HubError) as refused:
        hub.registry.delete("d1", "stale")
    assert refused.error.code == 412001
    hub.registry.delete("d1", former["etag"])
    assert "deleted" in connection.closed
    hub.storage.close()
    for hub in (make_hub("d1", path=tmp_path / "state"),):
        assert hub.registry.get("d1")["generationId"] >= former["generationId"]
        assert hub.registry.keys("d1")[0] != base64.b64decode(
            former["authentication"]["symmetricKey"]["primaryKey"]
        )
        assert hub.c2d.count("d1") == 0
        assert hub.connections.subscriptions("d1") == {}
        assert hub.twins.device_view("d1")["reported"] == {"$version": 1}


def test_a_deletion_that_cannot_be_kept_changes_nothing():
    hub = make_hub("d1")
    hub.twins.update_reported("d1", {"a": 1})
    hub.c2d.send("d1", Message(b"x"))

    def fail(changes):
        raise StorageError("full")

    real, hub.storage.write = hub.storage.write, fail
    with raises(StorageError):
        hub.registry.delete("d1")
    hub.storage.write = real
    assert hub.twins.device_view("d1")["reported"]["a"] == 1
    assert hub.c2d.count("d1") == 1


def test_generation_ids_rise_within_one_clock_tick():
    hub = make_hub("a", "b")
    assert hub.registry.generation_id("a") < hub.registry.generation_id("b")


def test_what_is_not_there_is_404():
    hub = make_hub()
    for call in (
        lambda: hub.registry.get("d1"),
        lambda: hub.registry.delete("d1"),
        lambda: hub.registry.update("d1", {}, "*"),
        lambda: hub.registry.keys("d1"),
        lambda: hub.registry.is_enabled("d1"),
        lambda: hub.twins.get("d1"),
        lambda: hub.twins.device_view("d1"),
        lambda: hub.twins.update_reported("d1", {}),
        lambda: hub.twins.digital_twin("d1"),
        lambda: hub.c2d.send("d1", Message(b"")),
        lambda: hub.c2d.purge("d1"),
        lambda: hub.telemetry.append("d1", b"", {}),
    ):
        with raises(HubError) as refused:
            call()
        assert (refused.error.code, refused.error.http_status) == (404001, 404)


def test_lists_and_statistics():
    hub = make_hub("c", "a", "b")
    hub.registry.update("a", {"status": "disabled"}, "*")
    assert [each["deviceId"] for each in hub.registry.list(2)] == ["a", "b"]
    assert hub.registry.statistics() == {
        "totalDeviceCount": 3,
        "enabledDeviceCount": 2,
        "disabledDeviceCount": 1,
    }
    for top in (0, -1, 1001):
        with raises(HubError, "top"):
            hub.registry.list(top)


def test_x509_identities_have_thumbprints_and_no_keys():
    hub = make_hub()
    prints = {"primaryThumbprint": "ab" * 20, "secondaryThumbprint": "CD" * 32}
    identity = hub.registry.create(
        {
            "deviceId": "d1",
            "authentication": {"type": "selfSigned", "x509Thumbprint": prints},
        }
    )
    assert identity["authentication"]["x509Thumbprint"]["primaryThumbprint"] == "AB" * 20
    assert identity["authentication"]["symmetricKey"] == {
        "primaryKey": None,
        "secondaryKey": None,
    }
    assert hub.registry.keys("d1") == (b"", b"")


def test_no_secret_shows():
    hub = make_hub("d1")
    assert hub.registry.key_texts("d1")[0] not in repr(hub.registry.identity("d1"))
