"""Cloud-to-device messages through Microsoft's unmodified azure-iot-hub (uamqp) over AMQP.

Each script runs in a process of its own, which knows nothing but a connection string and where
the CA lies. uamqp knows no port but 5671, so each hub has an address
to itself.
"""

import asyncio
import os
import textwrap
import time

import pytest
from sdk_process import run_sdk_script

from host_tools.hub.launcher import serving
from host_tools.hub.state.c2d import Message

HEAD = """
import os, time
from azure.iot.hub import IoTHubRegistryManager

manager = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])

def refused(*arguments, **options):
    try:
        manager.send_c2d_message(*arguments, **options)
    except Exception as error:
        return str(error)
    raise AssertionError("not refused")
"""

# On Python 3.13 the SDK waits for ever for its own thread when the interpreter ends first.
TAIL = "\ndel manager\n"


def run_script(folder, script, check=None, change=str, trusted=True, policy="service", extra=()):
    """Run an SDK script; its failure is ours. Returns: what `check(hub)` gives afterwards."""

    async def run():
        async with serving(folder, None) as server:
            server.ensure_device("dev1")
            bundle = str(server.certificates.ca_bundle)
            environment = {
                **os.environ,
                "IOTHUB_CONNECTION_STRING": change(server.service_connection_string(policy)),
                "REQUESTS_CA_BUNDLE": bundle,
                **dict(extra),
            }
            environment.pop("SSL_CERT_FILE", None)
            if trusted:
                environment["SSL_CERT_FILE"] = bundle
            await run_sdk_script(HEAD + textwrap.dedent(script) + TAIL, environment)
            return check(server.hub) if check else None

    return asyncio.run(run())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workspace")


def queued(hub):
    messages = []
    while (message := hub.c2d.next("dev1")) is not None:
        messages.append(message)
    return messages


def test_text_bytes_and_properties_arrive_as_sent(folder):
    expiry_s = int(time.time()) + 600
    text, octets, plain = run_script(
        folder,
        """
        manager.send_c2d_message("dev1", "grüezi", properties={
            "messageId": "m1", "correlationId": "c1", "contentType": "text/plain",
            "contentEncoding": "utf-8", "iothub-ack": "full",
            "expiryTimeUtc": int(os.environ["EXPIRY_S"]) * 1000,
            "level": "high", "count": 3})
        manager.send_c2d_message("dev1", b"\\x00\\xff")
        manager.send_c2d_message("dev1", "")
        """,
        queued,
        extra={"EXPIRY_S": str(expiry_s)},
    )
    assert text.body == "grüezi".encode()
    assert (text.message_id, text.correlation_id) == ("m1", "c1")
    assert (text.content_type, text.content_encoding) == ("text/plain", "utf-8")
    assert (text.expires_s, text.ack) == (expiry_s, "full")
    assert text.properties == {"level": "high", "count": "3"}
    assert octets.body == b"\x00\xff"
    assert octets.message_id is not None
    assert (plain.body, plain.properties) == (b"", {})


def test_an_unknown_device_is_the_sdks_send_failure_and_the_client_goes_on(folder):
    messages = run_script(
        folder,
        """
        assert refused("nobody", "x") == "C2D message send failure"
        manager.send_c2d_message("dev1", "after")
        """,
        queued,
    )
    assert [message.body for message in messages] == [b"after"]


def test_a_body_in_many_frames_and_one_too_long(folder):
    messages = run_script(
        folder,
        """
        manager.send_c2d_message("dev1", "x" * 64000)
        assert refused("dev1", "x" * 70000) == "C2D message send failure"
        assert refused("dev1", "x" * 200000) == "C2D message send failure"
        manager.send_c2d_message("dev1", "y")
        """,
        queued,
    )
    assert [len(message.body) for message in messages] == [64000, 1]


def test_a_full_queue_refuses_the_next(folder):
    count = run_script(
        folder,
        """
        for number in range(50):
            manager.send_c2d_message("dev1", str(number))
        assert refused("dev1", "one too many") == "C2D message send failure"
        """,
        lambda hub: hub.c2d.count("dev1"),
    )
    assert count == 50


def test_several_clients_at_once(folder):
    messages = run_script(
        folder,
        """
        import threading
        def send(name):  # `own` ends with the thread
            own = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
            for number in range(5):
                own.send_c2d_message("dev1", "%s%d" % (name, number))
        threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        """,
        queued,
    )
    assert sorted(m.body for m in messages) == sorted(
        f"{name}{number}".encode() for name in "abcd" for number in range(5)
    )


WRONG = """
begin = time.monotonic()
text = refused("dev1", "x")
print(text)
assert time.monotonic() - begin < 30
"""


def wrong_key(text):
    head, _, _ = text.rpartition("SharedAccessKey=")
    return head + "SharedAccessKey=" + "A" * 43 + "="


@pytest.mark.parametrize(
    "options",
    [
        {"change": wrong_key},
        {"policy": "registryReadWrite"},
        {"trusted": False},
    ],
    ids=["wrong key", "policy without ServiceConnect", "untrusted authority"],
)
def test_who_may_not_is_told_within_a_bounded_time(folder, options):
    count = run_script(folder, WRONG, lambda hub: hub.c2d.count("dev1"), **options)
    assert count == 0


def test_feedback_comes_over_amqp_and_a_batch_that_is_let_go_comes_again(folder):
    """azure-iot-hub has no call for it: uamqp's own client, as Microsoft's guides show it."""

    def settle(hub):
        for _ in range(2):
            hub.c2d.complete("dev1", hub.c2d.next("dev1").lock)
        hub.c2d.purge("dev1")
        # Due at once instead of in 15 seconds
        for record in hub.feedback._waiting:
            record.added_s -= 15

    async def run():
        async with serving(folder, None) as server:
            server.ensure_device("dev1")
            for number, ack in enumerate(("full", "positive", "negative", "none")):
                message = Message(b"x", message_id=f"m{number}", ack=ack)
                server.hub.c2d.send("dev1", message)
            settle(server.hub)
            bundle = str(server.certificates.ca_bundle)
            environment = {
                **os.environ,
                "IOTHUB_CONNECTION_STRING": server.service_connection_string("service"),
                "SSL_CERT_FILE": bundle,
                "REQUESTS_CA_BUNDLE": bundle,
            }
            return await run_sdk_script(textwrap.dedent(FEEDBACK), environment)

    assert asyncio.run(run()).split() == ["204"]


FEEDBACK = """
import json, os, time
import uamqp
from azure.core.credentials import AccessToken
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.sastoken import SasToken

parts = dict(part.split("=", 1) for part in os.environ["IOTHUB_CONNECTION_STRING"].split(";"))
host = parts["HostName"].partition(":")[0]

def token():
    sas = SasToken(host, parts["SharedAccessKey"], parts["SharedAccessKeyName"])
    return AccessToken(str(sas), int(time.time()) + 3600)

def client():
    auth = uamqp.authentication.JWTTokenAuth(
        f"https://{host}", f"https://{host}", token,
        token_type=b"servicebus.windows.net:sastoken")
    auth.update_token()
    source = f"amqps://{host}/messages/serviceBound/feedback"
    return uamqp.ReceiveClient(source, auth=auth, auto_complete=False)

def receive(outcome):
    receiving = client()
    try:
        (message,) = receiving.receive_message_batch(max_batch_size=1, timeout=10000)
        kind = message.properties.content_type
        assert kind == b"application/vnd.microsoft.iothub.feedback.json", kind
        records = json.loads(b"".join(message.get_data()))
        getattr(message, outcome)()
        return records
    finally:
        receiving.close()

first = receive("release")
second = receive("accept")
assert first == second
told = [(record["originalMessageId"], record["statusCode"]) for record in first]
assert told == [("m0", "Success"), ("m1", "Success"), ("m2", "Purged")], told
assert {record["deviceId"] for record in first} == {"dev1"}

# Over HTTP there is nothing left either
manager = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
raw = manager.protocol.cloud_to_device_messages.receive_feedback_notification(raw=True)
print(raw.response.status_code)
"""
