"""Services that sign in with Microsoft Entra: unmodified DefaultAzureCredential, offline.

The scripts know what `thermo hub exec` tells its command: a host name, and where the managed
identity is.
"""

import asyncio
import os
import textwrap

import pytest
from sdk_process import run_sdk_script

from host_tools.hub.client_environment import connection_variables, without_other_identities
from host_tools.hub.launcher import serving
from host_tools.hub.trust import trust_environment

HEAD = """
import os, threading
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential
from azure.iot.hub import (
    DigitalTwinClient, IoTHubConfigurationManager, IoTHubHttpRuntimeManager, IoTHubJobManager,
    IoTHubRegistryManager)
from azure.iot.hub.models import QuerySpecification
from msrest.exceptions import HttpOperationError

HOST = os.environ["IOTHUB_HOSTNAME"]
credential = DefaultAzureCredential()

class Given:
    "A credential that has the token it was given."
    def __init__(self, token):
        self.token = token
    def get_token(self, *scopes, **options):
        return AccessToken(self.token, 2 ** 33)
    def get_token_info(self, *scopes, options=None):
        from azure.core.credentials import AccessTokenInfo
        return AccessTokenInfo(self.token, 2 ** 33)
"""


def run_script(folder, script, fill=lambda hub: None, check=lambda hub: None, extra=()):
    async def run():
        async with serving(folder / "hub", None) as server:
            server.ensure_device("dev1")
            fill(server.hub)
            await server.hub.flush()
            ours = without_other_identities(os.environ)
            environment = {
                **ours,
                **connection_variables(server, "dev1", "dev1", ours),
                **trust_environment(folder, server.certificates.ca_pem, ours),
                **dict(extra),
            }
            del environment["IOTHUB_CONNECTION_STRING"], environment["EVENT_HUB_CONN_STR"]
            await run_sdk_script(HEAD + textwrap.dedent(script), environment)
            return check(server.hub)

    return asyncio.run(run())


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def queued_body(hub):
    message = hub.c2d.next("dev1")
    return None if message is None else message.body


def test_rest_messages_and_twins(folder):
    body = run_script(
        folder,
        """
        manager = IoTHubRegistryManager.from_token_credential(HOST, credential)
        made = manager.create_device_with_sas("dev2", "", "", "enabled")
        assert made.authentication.symmetric_key.primary_key
        spec = QuerySpecification(query="SELECT deviceId FROM devices")
        assert len(manager.query_iot_hub(spec).items) == 2
        twins = DigitalTwinClient.from_token_credential(HOST, credential)
        assert twins.get_digital_twin("dev1")["$dtId"] == "dev1"
        configurations = IoTHubConfigurationManager.from_token_credential(HOST, credential)
        assert configurations.get_configurations() == []
        jobs = IoTHubJobManager.from_token_credential(HOST, credential)
        assert jobs.get_import_export_jobs() == []
        runtime = IoTHubHttpRuntimeManager.from_token_credential(HOST, credential)
        assert runtime.receive_feedback_notification() is None
        manager.send_c2d_message("dev1", "by Entra", properties={"iothub-ack": "full"})
        del manager
        """,
        check=queued_body,
        # A service principal that would lead to the internet is passed by
        extra={
            "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
            "AZURE_CLIENT_ID": "22222222-2222-2222-2222-222222222222",
            "AZURE_CLIENT_SECRET": "nobody's",
        }.items(),
    )
    assert body == b"by Entra"


def test_events(folder):
    def fill(hub):
        hub.telemetry.append("dev1", b"seen", {})

    run_script(
        folder,
        """
        from azure.eventhub import EventHubConsumerClient
        client = EventHubConsumerClient(
            HOST.partition(":")[0], os.environ["EVENT_HUB_NAME"], "$Default", credential,
            retry_total=0)
        assert client.get_partition_ids() == ["0", "1"]
        found = []
        def take(context, event):
            found.append(event.body_as_str())
            client.close()
        client.receive(take, starting_position="-1")
        assert found == ["seen"], found
        """,
        fill,
    )


def test_the_asynchronous_credential(folder):
    def fill(hub):
        hub.telemetry.append("dev1", b"seen", {})

    run_script(
        folder,
        """
        import asyncio
        from azure.eventhub.aio import EventHubConsumerClient
        from azure.identity.aio import DefaultAzureCredential

        async def main():
            async with DefaultAzureCredential() as credential:
                client = EventHubConsumerClient(
                    HOST.partition(":")[0], os.environ["EVENT_HUB_NAME"], "$Default", credential,
                    retry_total=0)
                async with client:
                    assert await client.get_partition_ids() == ["0", "1"]
        asyncio.run(main())
        """,
        fill,
    )


def test_tokens_that_are_not_for_this_hub(folder):
    sent = run_script(
        folder,
        """
        import json, base64, urllib.request
        def refused(token):
            manager = IoTHubRegistryManager.from_token_credential(HOST, Given(token))
            try:
                manager.get_device("dev1")
            except HttpOperationError as error:
                assert error.response.status_code == 401, error
                assert error.response.headers["iothub-errorcode"] == "IoTHubUnauthorized"
            else:
                raise AssertionError("not refused")
            try:
                manager.send_c2d_message("dev1", "x")
            except Exception:
                pass  # uamqp's words for it are bytes of no encoding; nothing may have come
            else:
                raise AssertionError("not refused")
        ours = credential.get_token("https://iothubs.azure.net/.default").token
        head, claims, signature = ours.split(".")
        claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
        claims["exp"] += 1
        changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        refused(f"{head}.{changed}.{signature}")
        refused(credential.get_token("https://digitaltwins.azure.net/.default").token)
        """,
        check=queued_body,
    )
    assert sent is None


def test_the_identity_is_only_for_who_knows_its_secret(folder):
    run_script(
        folder,
        """
        try:
            credential.get_token("https://storage.azure.com/.default")
        except ClientAuthenticationError as error:
            assert "no other resource" in str(error), error
        else:
            raise AssertionError("a token for storage")
        os.environ["IDENTITY_HEADER"] = "guessed"
        try:
            DefaultAzureCredential().get_token("https://iothubs.azure.net/.default")
        except ClientAuthenticationError as error:
            assert "X-IDENTITY-HEADER" in str(error), error
        else:
            raise AssertionError("a token for a stranger")
        """,
    )
