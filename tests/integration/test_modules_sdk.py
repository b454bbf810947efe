"""Modules, by Microsoft's unmodified azure-iot-hub and azure-iot-device in one script."""

import asyncio
import os
import textwrap

import pytest
from sdk_process import run_sdk_script

from host_tools.hub.client_environment import connection_variables
from host_tools.hub.launcher import serving
from host_tools.hub.options import NO_OPTIONS, HubOptions
from host_tools.hub.trust import trust_environment

HEAD = """
import os, threading
from azure.iot.device import IoTHubModuleClient, Message, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

manager = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])

def refused(status, code, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except HttpOperationError as error:
        assert error.response.status_code == status, error
        assert error.response.headers["iothub-errorcode"] == code, error.response.headers
    else:
        raise AssertionError("not refused")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("modules")


def run_script(folder, script, check=lambda hub: None, options=NO_OPTIONS):
    async def run():
        place = folder / str(len(list(folder.iterdir())))
        place.mkdir()
        async with serving(folder / "hub", None, options) as server:
            server.ensure_device("dev1")
            environment = {
                **os.environ,
                **connection_variables(server, "dev1", "dev1", os.environ),
                **trust_environment(place, server.certificates.ca_pem, os.environ),
            }
            await run_sdk_script(HEAD + textwrap.dedent(script), environment)
            return check(server.hub)

    return asyncio.run(run())


def test_identities(folder):
    run_script(
        folder,
        """
        import base64
        keys = [base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3)]
        made = manager.create_module_with_sas("dev1", "m1", "me", keys[0], keys[1])
        assert (made.device_id, made.module_id, made.managed_by) == ("dev1", "m1", "me")
        assert made.authentication.symmetric_key.primary_key == keys[0]
        found = manager.get_module("dev1", "m1")
        assert found.etag == made.etag and found.connection_state == "Disconnected"
        new = manager.update_module_with_sas("dev1", "m1", "other", found.etag, keys[2], keys[1])
        assert new.managed_by == "other"
        assert new.authentication.symmetric_key.primary_key == keys[2]
        refused(412, "PreconditionFailed", manager.update_module_with_sas,
                "dev1", "m1", "other", found.etag, keys[2], keys[1])
        print_ = "A" * 40
        x509 = manager.create_module_with_x509("dev1", "m2", "me", print_, "B" * 40)
        assert x509.authentication.x509_thumbprint.primary_thumbprint == print_
        x509 = manager.update_module_with_x509("dev1", "m2", "me", x509.etag, "C" * 40, "B" * 40)
        assert x509.authentication.x509_thumbprint.primary_thumbprint == "C" * 40
        authority = manager.create_module_with_certificate_authority("dev1", "m3", "me")
        assert authority.authentication.type == "certificateAuthority"
        manager.update_module_with_certificate_authority("dev1", "m3", "you", authority.etag)
        assert [each.module_id for each in manager.get_modules("dev1")] == ["m1", "m2", "m3"]
        assert len(manager.get_devices()) == 1
        manager.delete_module("dev1", "m2", x509.etag)
        manager.delete_module("dev1", "m3")
        refused(404, "ModuleNotFound", manager.get_module, "dev1", "m2")
        refused(404, "DeviceNotFound", manager.get_modules, "nobody")
        refused(409, "ModuleAlreadyExistsOnDevice", manager.create_module_with_sas,
                "dev1", "m1", "me", keys[0], keys[1])
        refused(404, "DeviceNotFound", manager.get_device, "dev1/m1")
        refused(404, "DeviceNotFound", manager.get_twin, "dev1/m1")
        """,
    )


def test_twins_and_queries(folder):
    run_script(
        folder,
        """
        for name in ("m1", "m2", "m3"):
            manager.create_module_with_sas("dev1", name, "me", "", "")
        twin = manager.get_module_twin("dev1", "m1")
        assert (twin.device_id, twin.module_id, twin.version) == ("dev1", "m1", 1)
        patch = Twin(tags={"at": "door"}, properties=TwinProperties(desired={"level": 3}))
        new = manager.update_module_twin("dev1", "m1", patch, twin.etag)
        assert new.properties.desired["level"] == 3 and new.tags == {"at": "door"}
        refused(412, "PreconditionFailed", manager.update_module_twin,
                "dev1", "m1", patch, twin.etag)
        new = manager.replace_module_twin(
            "dev1", "m2", Twin(tags={"at": "roof"}, properties=TwinProperties(desired={"b": 1})))
        assert new.tags == {"at": "roof"}
        refused(404, "ModuleNotFound", manager.get_module_twin, "dev1", "m9")

        def ask(text, size=100, token=None):
            return manager.query_iot_hub(QuerySpecification(query=text), token, size)
        found = ask("SELECT * FROM devices.modules WHERE tags.at = 'door'").items
        assert [(each.device_id, each.module_id) for each in found] == [("dev1", "m1")]
        first = ask("SELECT * FROM devices.modules", 2)
        rest = ask("SELECT * FROM devices.modules", 2, first.continuation_token)
        assert [each.module_id for each in first.items + rest.items] == ["m1", "m2", "m3"]
        assert rest.continuation_token is None
        count, = ask("SELECT COUNT() AS n FROM devices.modules WHERE moduleId != 'm1'").items
        assert count.additional_properties["n"] == 2
        assert len(ask("SELECT * FROM devices").items) == 1
        """,
    )


def test_a_module_at_work(folder):
    def check(hub):
        return [event for each in (0, 1) for event in hub.telemetry.read(each)]

    events = run_script(
        folder,
        """
        made = manager.create_module_with_sas("dev1", "m1", "me", "", "")
        host = dict(part.partition("=")[::2] for part in
                    os.environ["IOTHUB_DEVICE_CONNECTION_STRING"].split(";"))["HostName"]
        key = made.authentication.symmetric_key.primary_key
        text = f"HostName={host};DeviceId=dev1;ModuleId=m1;SharedAccessKey={key}"
        client = IoTHubModuleClient.create_from_connection_string(text)
        patches, arrived = [], threading.Event()
        def take(patch):
            patches.append(patch)
            arrived.set()
        client.on_twin_desired_properties_patch_received = take
        client.on_message_received = print
        def answer(request):
            response = MethodResponse.create_from_method_request(
                request, 200, {"got": request.payload, "name": request.name})
            client.send_method_response(response)
        client.on_method_request_received = answer
        client.connect()
        assert manager.get_module("dev1", "m1").connection_state == "Connected"
        assert manager.get_device("dev1").connection_state == "Disconnected"

        assert client.get_twin()["desired"] == {"$version": 1}
        client.patch_twin_reported_properties({"up": True})
        assert manager.get_module_twin("dev1", "m1").properties.reported["up"] is True
        manager.update_module_twin(
            "dev1", "m1", Twin(properties=TwinProperties(desired={"level": 3})))
        assert arrived.wait(10) and patches == [{"level": 3, "$version": 2}]

        method = CloudToDeviceMethod(method_name="blink", payload={"n": 2})
        result = manager.invoke_device_module_method("dev1", "m1", method)
        assert (result.status, result.payload) == (200, {"got": {"n": 2}, "name": "blink"})
        refused(404, "DeviceNotOnline", manager.invoke_device_method, "dev1", method)
        refused(404, "ModuleNotFound", manager.invoke_device_module_method, "dev1", "m9", method)

        client.send_message(Message("plain", message_id="t1"))
        client.send_message_to_output(Message("routed"), "out1")
        client.shutdown()
        """,
        check,
        HubOptions(routes=frozenset({"deviceLifecycleEvents", "twinChangeEvents"})),
    )
    telemetry = [
        each for each in events if each.annotations["iothub-message-source"] == "Telemetry"
    ]
    assert [each.body for each in telemetry] == [b"plain", b"routed"]
    assert telemetry[0].annotations["iothub-connection-module-id"] == "m1"
    assert '"scope":"module"' in telemetry[0].annotations["iothub-connection-auth-method"]
    assert telemetry[1].annotations["iothub-outputname"] == "out1"
    told = [each.properties["opType"] for each in events if each not in telemetry]
    assert told == ["createDeviceIdentity", "createModuleIdentity", "updateTwin", "updateTwin"]


def test_a_module_with_the_wrong_key(folder):
    run_script(
        folder,
        """
        from azure.iot.device.exceptions import CredentialError
        manager.create_module_with_sas("dev1", "m1", "me", "", "")
        own = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
        text = own.replace("DeviceId=dev1;", "DeviceId=dev1;ModuleId=m1;")
        client = IoTHubModuleClient.create_from_connection_string(text)
        try:
            client.connect()
        except CredentialError:
            pass
        else:
            raise AssertionError("let in by the device's key")
        client.shutdown()
        """,
    )
