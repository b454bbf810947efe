"""Feedback over HTTPS, by Microsoft's unmodified IoTHubHttpRuntimeManager.

Its call to receive drops the body and the lock of the batch; the raw answer of the client under it
has both.
"""

import asyncio
import os
import textwrap

import pytest
from sdk_process import run_sdk_script

from host_tools.hub.client_environment import connection_variables
from host_tools.hub.launcher import serving
from host_tools.hub.state.c2d import Message
from host_tools.hub.state.feedback import MAX_RECORDS
from host_tools.hub.trust import trust_environment

HEAD = """
import os
from azure.identity import DefaultAzureCredential
from azure.iot.hub import IoTHubHttpRuntimeManager
from msrest.exceptions import HttpOperationError

def refused(status, code, call, *arguments):
    try:
        call(*arguments)
    except HttpOperationError as error:
        assert error.response.status_code == status, error
        assert error.response.headers["iothub-errorcode"] == code, error.response.headers
    else:
        raise AssertionError("not refused")

def raw():
    return manager.protocol.cloud_to_device_messages.receive_feedback_notification(raw=True)
"""
BY_KEY = """
manager = IoTHubHttpRuntimeManager.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])
"""
BY_ENTRA = """
manager = IoTHubHttpRuntimeManager.from_token_credential(
    os.environ["IOTHUB_HOSTNAME"], DefaultAzureCredential())
"""


def fill(hub, batches):
    """As many records as make so many batches: those are due at once."""
    for _ in range(batches * MAX_RECORDS):
        hub.c2d.send("dev1", Message(b"x", ack="full"))
        hub.c2d.complete("dev1", hub.c2d.next("dev1").lock)


@pytest.mark.parametrize("head", [BY_KEY, BY_ENTRA])
def test_a_batch_is_let_go_and_taken(tmp_path, head):
    script = """
        assert manager.receive_feedback_notification() is None
        answer = raw().response
        records, lock = answer.json(), answer.headers["ETag"].strip('"')
        assert len(records) == 64 and records[0]["statusCode"] == "Success"
        manager.abandon_feedback_notification(lock)
        refused(412, "DeviceMessageLockLost", manager.abandon_feedback_notification, lock)
        again = raw().response
        assert again.json() == records
        lock = again.headers["ETag"].strip('"')
        manager.complete_feedback_notification(lock)
        refused(412, "DeviceMessageLockLost", manager.complete_feedback_notification, lock)
        assert raw().response.status_code == 204
        """

    async def run():
        async with serving(tmp_path / "hub", None) as server:
            server.ensure_device("dev1")
            fill(server.hub, 2)
            environment = {
                **os.environ,
                **connection_variables(server, "dev1", "dev1", os.environ),
                **trust_environment(tmp_path, server.certificates.ca_pem, os.environ),
            }
            await run_sdk_script(HEAD + head + textwrap.dedent(script), environment)

    asyncio.run(run())
