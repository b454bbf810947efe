"""The REST door, seen by Microsoft's unmodified azure-iot-hub over verified TLS.

Each script runs in a process of its own, which knows nothing but a connection string, a device id
and where the CA lies. It asserts for itself; what it must not see is asserted here.
"""

import asyncio
import os
import textwrap

import pytest
from aiohttp import web
from doubles.hub_connection import FakeConnection
from sdk_process import run_sdk_script

from host_tools.hub import certificates
from host_tools.hub.endpoints.rest import rest_app
from host_tools.hub.state.c2d import Message
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage
from host_tools.hub.tls import server_context

HEAD = """
import datetime, os, sys
from azure.iot.hub import IoTHubRegistryManager, DigitalTwinClient
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

iothub_connection_str = os.environ["IOTHUB_CONNECTION_STRING"]
device_id = os.environ["IOTHUB_DEVICE_ID"]
iothub_registry_manager = IoTHubRegistryManager(iothub_connection_str)
digital_twin_client = DigitalTwinClient.from_connection_string(iothub_connection_str)

class refused:
    def __init__(self, reason, code=None):
        self.reason, self.code = reason, code
    def __enter__(self):
        return self
    def __exit__(self, kind, error, traceback):
        assert kind is HttpOperationError, "not refused"
        expected = "Operation returned an invalid status code '%s'" % self.reason
        assert str(error) == expected, str(error)
        self.body = error.response.json()
        assert set(self.body) == {"Message", "ExceptionMessage"}, self.body
        if self.code:
            assert error.response.headers["iothub-errorcode"] == self.code
        return True
"""


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """(server context, path of the CA's certificate): the hub's own, as clients meet them"""
    folder = tmp_path_factory.mktemp("tls") / "workspace"
    found = certificates.prepare(folder, ["localhost", "127.0.0.1"])
    return server_context(found.server), found.ca_pem


def _new_hub():
    hub = Hub("localhost", Storage())
    hub.registry.create({"deviceId": "t1"})
    return hub


def run_script(tls, script, hub=None, policy="iothubowner", device_id="t1"):
    """Run an SDK script against `hub`; its failure is ours. Returns: what it printed."""
    return asyncio.run(_run_script(tls, script, hub or _new_hub(), policy, device_id))


async def _run_script(tls, script, hub, policy, device_id):
    context, ca = tls
    runner = web.AppRunner(rest_app(hub))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        environment = {
            **os.environ,
            "REQUESTS_CA_BUNDLE": str(ca),
            "IOTHUB_CONNECTION_STRING": hub.policies.connection_string(
                policy, f"localhost:{port}"
            ),
            "IOTHUB_DEVICE_ID": device_id,
        }
        return await run_sdk_script(HEAD + textwrap.dedent(script), environment)
    finally:
        await runner.cleanup()


def test_registry_of_devices(tls):
    hub = _new_hub()
    run_script(
        tls,
        """
        manager = iothub_registry_manager
        device = manager.create_device_with_sas("b1", None, None, "enabled")
        assert device.device_id == "b1" and device.status == "enabled"
        assert device.connection_state == "Disconnected"
        key = device.authentication.symmetric_key.primary_key
        assert len(key) == 44 and device.generation_id.isdigit()

        with refused("Conflict", "DeviceAlreadyExists") as conflict:
            manager.create_device_with_sas("b1", None, None, "enabled")
        assert conflict.body["Message"].startswith("ErrorCode:DeviceAlreadyExists;")

        changed = manager.update_device_with_sas(
            "b1", device.etag, device.authentication.symmetric_key.secondary_key, key,
            "disabled", status_reason="in repair")
        assert changed.status == "disabled" and changed.status_reason == "in repair"
        assert changed.authentication.symmetric_key.secondary_key == key
        assert changed.etag != device.etag and changed.generation_id == device.generation_id
        with refused("Precondition Failed", "PreconditionFailed"):
            manager.update_device_with_sas("b1", device.etag, key, key, "enabled")

        thumbprint = "0123456789" * 4
        x509 = manager.create_device_with_x509("b2", thumbprint, thumbprint, "enabled")
        assert x509.authentication.type == "selfSigned"
        assert x509.authentication.x509_thumbprint.primary_thumbprint == thumbprint
        authority = manager.create_device_with_certificate_authority("b3", "enabled")
        assert authority.authentication.type == "certificateAuthority"
        other = "ABCDEF0123" * 4
        x509 = manager.update_device_with_x509("b2", x509.etag, other, thumbprint, "disabled")
        assert x509.authentication.x509_thumbprint.primary_thumbprint == other
        authority = manager.update_device_with_certificate_authority(
            "b3", authority.etag, "disabled")
        assert authority.status == "disabled"
        for device_id in ("b2", "b3"):
            assert manager.get_device(device_id).status == "disabled"
            manager.delete_device(device_id)
        manager.create_device_with_x509("b2", thumbprint, thumbprint, "enabled")
        manager.create_device_with_certificate_authority("b3", "enabled")
        strange = "a%2Fb#:.+*?!(),=@;$'"
        assert manager.create_device_with_sas(strange, None, None, "enabled").device_id == strange
        assert manager.get_device(strange).device_id == strange

        assert manager.get_device("b1").etag == changed.etag
        assert [d.device_id for d in manager.get_devices(3)] == sorted([strange, "b1", "b2"])
        assert len(manager.get_devices()) == 5

        statistics = manager.get_device_registry_statistics()
        assert statistics.total_device_count == 5 and statistics.disabled_device_count == 1
        assert statistics.enabled_device_count == 4
        assert manager.get_service_statistics().connected_device_count == 0

        with refused("Precondition Failed"):
            manager.delete_device("b1", device.etag)
        manager.delete_device("b1", changed.etag)
        manager.delete_device("b2")
        with refused("Not Found", "DeviceNotFound"):
            manager.get_device("b1")
        with refused("Not Found", "DeviceNotFound"):
            manager.delete_device("b1")
        with refused("Bad Request", "ArgumentInvalid"):
            manager.create_device_with_sas("no spaces", None, None, "enabled")
        """,
        hub,
    )
    assert hub.registry.device_ids() == ("a%2Fb#:.+*?!(),=@;$'", "b3", "t1")


def test_twin_as_the_seeds_read_and_write_it(tls):
    hub = _new_hub()
    hub.twins.set_model_id("t1", "dtmi:com:example:TemperatureController;1")
    hub.twins.update_reported("t1", {"serialNumber": "1"})
    device = FakeConnection()
    hub.connections.attach("t1", device)
    run_script(
        tls,
        """
        twin = iothub_registry_manager.get_twin(device_id)
        print(twin)
        assert twin.additional_properties["modelId"] == "dtmi:com:example:TemperatureController;1"
        assert twin.connection_state == "Connected"
        assert twin.properties.reported["serialNumber"] == "1"
        first = twin.etag

        twin_patch = Twin()
        twin_patch.properties = TwinProperties(desired={"targetTemperature": 42})
        updated_twin = iothub_registry_manager.update_twin(device_id, twin_patch, twin.etag)
        assert updated_twin.properties.desired["targetTemperature"] == 42
        assert updated_twin.properties.desired["$version"] == 2

        with refused("Precondition Failed", "PreconditionFailed"):
            iothub_registry_manager.update_twin(device_id, twin_patch, first)

        twin = iothub_registry_manager.get_twin(device_id)
        twin_patch = Twin()
        twin_patch.properties = TwinProperties(
            desired={"thermostat1": {"__t": "c", "targetTemperature": 42}})
        iothub_registry_manager.update_twin(device_id, twin_patch, twin.etag)

        tags = {"location": {"region": "US", "plant": "Redmond43"}}
        twin_patch = Twin(tags=tags, properties=TwinProperties(desired={"power_level": 1}))
        twin = iothub_registry_manager.update_twin(device_id, twin_patch)
        assert twin.tags == tags and twin.properties.desired["power_level"] == 1

        whole = iothub_registry_manager.get_twin(device_id)
        whole.tags = {"floor": 2}
        whole.properties.desired = {"power_level": 5}
        replaced = iothub_registry_manager.replace_twin(device_id, whole, whole.etag)
        assert replaced.tags == {"floor": 2}
        assert set(replaced.properties.desired) == {"power_level", "$metadata", "$version"}
        assert replaced.properties.reported["serialNumber"] == "1"

        same = iothub_registry_manager.get_twin(device_id)
        again = iothub_registry_manager.replace_twin(device_id, same)
        assert again.properties.desired["power_level"] == 5

        with refused("Not Found", "DeviceNotFound"):
            iothub_registry_manager.get_twin("absent")
        with refused("Bad Request", "ArgumentInvalid"):
            iothub_registry_manager.update_twin(device_id, Twin(tags={"a.b": 1}))
        """,
        hub,
    )
    assert device.patches == [
        ({"targetTemperature": 42, "$version": 2}, 2),
        ({"thermostat1": {"__t": "c", "targetTemperature": 42}, "$version": 3}, 3),
        ({"power_level": 1, "$version": 4}, 4),
        ({"power_level": 5, "$version": 5}, 5),
        ({"power_level": 5, "$version": 6}, 6),
    ]


REPORT = {"maxTemp": 21.5, "minTemp": 19, "avgTemp": 20.25}


def _thermostat(hub):
    seen = []

    def report(since):
        seen.append(since)
        return 200, REPORT

    methods = {
        "getMaxMinReport": report,
        "thermostat1*getMaxMinReport": report,
        "reboot": lambda delay: (200, None),
        "broken": lambda payload: (500, {"error": "it broke"}),
        "silent": None,
    }
    hub.connections.attach("t1", FakeConnection(hub, "t1", methods))
    return seen


def test_methods_as_the_seeds_call_them(tls):
    hub = _new_hub()
    seen = _thermostat(hub)
    run_script(
        tls,
        """
        import time
        method_payload = datetime.datetime.now() - datetime.timedelta(minutes=2)
        for name in "getMaxMinReport", "thermostat1*getMaxMinReport":
            device_method = CloudToDeviceMethod(method_name=name, payload=method_payload)
            result = iothub_registry_manager.invoke_device_method(device_id, device_method)
            print(result.payload)
            assert result.status == 200 and result.payload["maxTemp"] == 21.5

        def call(name, device=device_id, **options):
            method = CloudToDeviceMethod(method_name=name, **options)
            return iothub_registry_manager.invoke_device_method(device, method)

        assert call("reboot").status == 200
        assert call("nothing").status == 404
        broken = call("broken")
        assert broken.status == 500 and broken.payload == {"error": "it broke"}

        with refused("Not Found", "DeviceNotFound"):
            call("reboot", "absent")
        iothub_registry_manager.create_device_with_sas("away", None, None, "enabled")
        before = time.monotonic()
        with refused("Not Found", "DeviceNotOnline") as offline:
            call("reboot", "away")
        assert time.monotonic() - before < 5
        import json
        inner = json.loads(offline.body["Message"])
        assert inner["errorCode"] == 404103 and inner["info"] == {"timeout": "00:00:00"}
        with refused("Not Found", "DeviceNotOnline"):
            call("reboot", "away", connect_timeout_in_seconds=1)
        with refused("Gateway Timeout", "GatewayTimeout") as late:
            call("silent", response_timeout_in_seconds=5)
        assert json.loads(late.body["Message"])["errorCode"] == 504101
        with refused("Bad Request", "ArgumentInvalid"):
            call("reboot", response_timeout_in_seconds=4)
        assert iothub_registry_manager.get_service_statistics().connected_device_count == 1
        """,
        hub,
    )
    assert len(seen) == 2
    assert seen[0].endswith("Z")


def test_digital_twin_as_the_seeds_use_it(tls):
    hub = _new_hub()
    seen = _thermostat(hub)
    hub.twins.set_model_id("t1", "dtmi:com:example:TemperatureController;1")
    hub.twins.update_reported("t1", {"thermostat1": {"__t": "c", "maxTempSinceLastReboot": 20}})
    run_script(
        tls,
        """
        digital_twin = digital_twin_client.get_digital_twin(device_id)
        print("Model Id: " + digital_twin["$metadata"]["$model"])
        assert digital_twin["$dtId"] == device_id
        assert digital_twin["thermostat1"]["maxTempSinceLastReboot"] == 20

        patch = [{"op": "add", "path": "/targetTemperature", "value": 42}]
        digital_twin_client.update_digital_twin(device_id, patch)
        patch = [{"op": "add", "path": "/thermostat1/targetTemperature", "value": 42}]
        digital_twin_client.update_digital_twin(device_id, patch, "*")
        with refused("Precondition Failed", "PreconditionFailed"):
            digital_twin_client.update_digital_twin(device_id, patch, "AAAAAAAAAAE=")
        digital_twin = digital_twin_client.get_digital_twin(device_id)
        described = digital_twin["thermostat1"]["$metadata"]["targetTemperature"]
        assert described["desiredValue"] == 42 and described["desiredVersion"] == 3

        payload = datetime.datetime.now() - datetime.timedelta(minutes=2)
        connect_timeout_in_seconds = 3
        response_timeout_in_seconds = 7
        invoke_command_result = digital_twin_client.invoke_command(
            device_id, "getMaxMinReport", payload,
            connect_timeout_in_seconds, response_timeout_in_seconds)
        assert invoke_command_result["minTemp"] == 19
        invoke_command_result = digital_twin_client.invoke_component_command(
            device_id, "thermostat1", "getMaxMinReport", payload,
            connect_timeout_in_seconds, response_timeout_in_seconds)
        assert invoke_command_result["avgTemp"] == 20.25
        assert digital_twin_client.invoke_command(device_id, "reboot", 5) is None
        raw = digital_twin_client.protocol.digital_twin.invoke_root_level_command(
            device_id, "nothing", 1, raw=True)
        assert raw.headers["x-ms-command-statuscode"] == 404

        with refused("Bad Request", "InvalidDigitalTwinJsonPatch"):
            digital_twin_client.update_digital_twin(device_id, [{"op": "move", "path": "/a"}])
        with refused("Not Found", "DeviceNotFound"):
            digital_twin_client.get_digital_twin("absent")
        """,
        hub,
    )
    assert len(seen) == 2


def test_all_twins_page_by_page(tls):
    hub = _new_hub()
    for number in range(5):
        hub.registry.create({"deviceId": f"p{number}"})
    run_script(
        tls,
        """
        query = QuerySpecification(query="SELECT * FROM devices")
        everything = iothub_registry_manager.query_iot_hub(query)
        assert len(everything.items) == 6 and everything.continuation_token is None
        found, token = [], None
        while True:
            page = iothub_registry_manager.query_iot_hub(query, token, 4)
            found += [twin.device_id for twin in page.items]
            token = page.continuation_token
            if not token:
                break
        assert found == ["p0", "p1", "p2", "p3", "p4", "t1"], found
        with refused("Bad Request", "ArgumentInvalid"):
            iothub_registry_manager.query_iot_hub(QuerySpecification(query="SELECT a FROM b"))
        some = QuerySpecification(query="SELECT * FROM devices WHERE deviceId IN ['p1', 't1']")
        twins = iothub_registry_manager.query_iot_hub(some).items
        assert [twin.device_id for twin in twins] == ["p1", "t1"]
        count = QuerySpecification(query="SELECT COUNT() AS n FROM devices WHERE status='enabled'")
        (row,) = iothub_registry_manager.query_iot_hub(count).items
        assert row.additional_properties == {"n": 6}, row
        """,
        hub,
    )


def test_many_identities_at_once(tls):
    hub = _new_hub()
    run_script(
        tls,
        """
        from azure.iot.hub.models import ExportImportDevice
        entries = [ExportImportDevice(id=f"n{n}", import_mode="create", status="enabled",
                                      tags={"n": n}) for n in range(100)]
        done = iothub_registry_manager.bulk_create_or_update_devices(entries)
        assert done.is_successful and not done.errors, done
        again = iothub_registry_manager.bulk_create_or_update_devices(entries[:2])
        assert not again.is_successful
        told = [(error.device_id, error.error_code) for error in again.errors]
        assert told == [("n0", "DeviceAlreadyExists"), ("n1", "DeviceAlreadyExists")], told
        gone = [ExportImportDevice(id=f"n{n}", import_mode="delete") for n in range(99)]
        assert iothub_registry_manager.bulk_create_or_update_devices(gone).is_successful
        """,
        hub,
    )
    assert hub.registry.device_ids() == ("n99", "t1")
    assert hub.twins.get("n99")["tags"] == {"n": 99}


def test_queue_is_purged(tls):
    hub = _new_hub()
    for _ in range(3):
        hub.c2d.send("t1", Message(b"hello"))
    run_script(
        tls,
        """
        assert iothub_registry_manager.get_device(device_id).cloud_to_device_message_count == 3
        cloud = iothub_registry_manager.protocol.cloud_to_device_messages
        result = cloud.purge_cloud_to_device_message_queue(device_id)
        assert result.total_messages_purged == 3 and result.device_id == device_id
        """,
        hub,
    )
    assert hub.c2d.count("t1") == 0


def test_policy_without_the_permission_is_unauthorized(tls):
    run_script(
        tls,
        """
        assert iothub_registry_manager.get_device(device_id).device_id == device_id
        with refused("Unauthorized", "IoTHubUnauthorized"):
            iothub_registry_manager.create_device_with_sas("b1", None, None, "enabled")
        with refused("Unauthorized", "IoTHubUnauthorized"):
            iothub_registry_manager.get_twin(device_id)
        """,
        policy="registryRead",
    )


def test_wrong_key_is_unauthorized(tls):
    run_script(
        tls,
        """
        import base64
        wrong = base64.b64encode(b"0" * 32).decode()
        text = iothub_connection_str.rpartition("SharedAccessKey=")[0] + "SharedAccessKey=" + wrong
        with refused("Unauthorized", "IoTHubUnauthorized"):
            IoTHubRegistryManager(text).get_twin(device_id)
        """,
    )
