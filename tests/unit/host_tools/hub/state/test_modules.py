"""Modules beside their device: identities, twins, tokens, events, and what they do not have."""

import json

from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.c2d import Message
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.registry import MAX_MODULES
from host_tools.hub.wire.sas import build_token


def with_module(path=None):
    hub = make_hub("d1", "d2", path=path)
    if not hub.registry.exists("d1/m1"):
        hub.registry.create({"deviceId": "d1", "moduleId": "m1", "managedBy": "me"})
    return hub


def code(block, *arguments):
    with raises(HubError) as caught:
        block(*arguments)
    return caught.error.code


def test_identities_and_their_errors():
    hub = with_module()
    module = hub.registry.get("d1/m1")
    assert (module["deviceId"], module["moduleId"], module["managedBy"]) == ("d1", "m1", "me")
    assert "status" not in module
    assert "moduleId" not in hub.registry.get("d1")
    assert [each["moduleId"] for each in hub.registry.list_modules("d1")] == ["m1"]
    assert hub.registry.list_modules("d2") == []
    assert hub.registry.statistics()["totalDeviceCount"] == 2
    assert [each["deviceId"] for each in hub.registry.list()] == ["d1", "d2"]
    create = hub.registry.create
    assert code(create, {"deviceId": "d1", "moduleId": "m1"}) == 409301
    assert code(create, {"deviceId": "d9", "moduleId": "m1"}) == 404001
    assert code(create, {"deviceId": "d1", "moduleId": "a/b"}) == 400004
    assert code(hub.registry.get, "d1/m9") == 404010
    assert code(hub.registry.get, "d9/m1") == 404001
    assert code(hub.registry.update, "d1/m1", {"moduleId": "m2"}, None) == 400004
    assert code(hub.registry.delete, "d1/m1", '"stale"') == 412001
    for number in range(1, MAX_MODULES):
        create({"deviceId": "d1", "moduleId": f"n{number}"})
    assert code(create, {"deviceId": "d1", "moduleId": "one-too-many"}) == 413003


def test_a_device_goes_with_its_modules(tmp_path):
    hub = with_module(tmp_path / "hub.sqlite")
    connection = FakeConnection(hub, "d1/m1")
    hub.connections.attach("d1/m1", connection)
    hub.twins.update_reported("d1/m1", {"a": 1})
    hub.registry.update("d1", {"status": "disabled"}, None)
    assert connection.closed == "the device was disabled"
    hub.registry.delete("d1")
    assert not hub.registry.exists("d1/m1")
    hub.storage.close()
    again = make_hub("d1", path=tmp_path / "hub.sqlite")
    again.registry.create({"deviceId": "d1", "moduleId": "m1"})
    assert again.twins.get("d1/m1")["properties"]["reported"].get("a") is None


def test_a_module_outlives_the_process(tmp_path):
    hub = with_module(tmp_path / "hub.sqlite")
    before = hub.registry.get("d1/m1")
    hub.twins.update_desired("d1/m1", {"tags": {"a": 1}})
    hub.storage.close()
    again = with_module(tmp_path / "hub.sqlite")
    assert again.registry.get("d1/m1") == before
    assert again.twins.get("d1/m1")["tags"] == {"a": 1}
    assert again.twins.get("d1")["tags"] == {}


def test_twins_are_apart():
    hub = with_module()
    device, module = FakeConnection(hub), FakeConnection(hub, "d1/m1")
    hub.connections.attach("d1", device)
    hub.connections.attach("d1/m1", module)
    hub.twins.update_desired("d1/m1", {"properties": {"desired": {"level": 3}}})
    assert (device.patches, module.patches) == ([], [({"level": 3, "$version": 2}, 2)])
    twin = hub.twins.get("d1/m1")
    assert (twin["deviceId"], twin["moduleId"], twin["status"]) == ("d1", "m1", "enabled")
    assert twin["connectionState"] == "Connected"
    assert [row["deviceId"] for row in hub.twins.rows()] == ["d1", "d2"]
    assert [row["moduleId"] for row in hub.twins.rows(of_modules=True)] == ["m1"]
    assert hub.connections.count() == 1


def test_tokens():
    hub = with_module()
    resource = "hub.example.net/devices/d1/modules/m1"
    own, devices = hub.registry.keys("d1/m1")[0], hub.registry.keys("d1")[0]
    grant = hub.policies.authenticate_device("d1/m1", build_token(resource, own, 1 << 33))
    assert json.loads(grant.auth_method)["scope"] == "module"
    assert code(hub.policies.authenticate_device, "d1", build_token(resource, own, 1 << 33)) == (
        401003
    )
    other = build_token(resource, devices, 1 << 33)
    assert code(hub.policies.authenticate_device, "d1/m1", other) == 401003
    hub.registry.update("d1", {"status": "disabled"}, None)
    good = build_token(resource, own, 1 << 33)
    assert code(hub.policies.authenticate_device, "d1/m1", good) == 403012
    text = hub.device_connection_string("d1/m1")
    assert text.startswith("HostName=hub.example.net;DeviceId=d1;ModuleId=m1;SharedAccessKey=")


def test_no_messages_to_modules():
    hub = with_module()
    assert code(hub.c2d.send, "d1/m1", Message(b"x")) == 404001
    assert code(hub.c2d.purge, "d1/m1") == 404001
    assert hub.c2d.next("d1/m1") is None


def test_telemetry_says_which_module():
    hub = with_module()
    event = hub.telemetry.append("d1/m1", b"x", {})
    assert event.device_id == "d1"
    assert event.annotations["iothub-connection-device-id"] == "d1"
    assert event.annotations["iothub-connection-module-id"] == "m1"
    generation = hub.registry.generation_id("d1/m1")
    assert event.annotations["iothub-connection-auth-generation-id"] == generation
    plain = hub.telemetry.append("d1", b"x", {})
    assert "iothub-connection-module-id" not in plain.annotations
    assert plain.partition == event.partition


def test_notices_of_a_module():
    hub = make_hub("d1")
    hub.notices.routes = (
        "deviceLifecycleEvents",
        "deviceConnectionStateEvents",
        "twinChangeEvents",
    )
    found = []
    hub.telemetry.subscribe(found.append)
    hub.registry.create({"deviceId": "d1", "moduleId": "m1"})
    connection = FakeConnection(hub, "d1/m1")
    hub.connections.attach("d1/m1", connection)
    hub.twins.update_reported("d1/m1", {"a": 1})
    hub.connections.detach("d1/m1", connection)
    hub.registry.delete("d1/m1")
    told = [(e.properties["opType"], e.properties["iothub-message-schema"]) for e in found]
    assert told == [
        ("createModuleIdentity", "moduleLifecycleNotification"),
        ("moduleConnected", "moduleConnectionStateNotification"),
        ("updateTwin", "twinChangeNotification"),
        ("moduleDisconnected", "moduleConnectionStateNotification"),
        ("deleteModuleIdentity", "moduleLifecycleNotification"),
    ]
    for event in found:
        assert (event.properties["deviceId"], event.properties["moduleId"]) == ("d1", "m1")
        assert event.annotations["iothub-connection-module-id"] == "m1"
    assert json.loads(found[0].body)["moduleId"] == "m1"


def test_many_at_once():
    hub = make_hub("d1")
    entries = [
        {"id": "d1", "moduleId": "m1", "importMode": "create", "tags": {"a": 1}},
        {"id": "d1", "moduleId": "m2", "importMode": "create", "managedBy": "me"},
        {"id": "d1", "moduleId": "m9", "importMode": "delete"},
        {"id": "d1/m1", "importMode": "delete"},
    ]
    outcome = hub.bulk.apply(entries)
    assert [(e["moduleId"], e["errorCode"]) for e in outcome["errors"]] == [
        ("m9", "ModuleNotFound"),
        (None, "ArgumentInvalid"),
    ]
    assert hub.twins.get("d1/m1")["tags"] == {"a": 1}
    assert hub.registry.get("d1/m2")["managedBy"] == "me"
