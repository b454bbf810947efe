"""Seed 004: a message to a device, what the device received, and the feedback about it.

azure-iot-hub sends; azure-iot-device receives, as `exec-device`; feedback is read with uamqp,
since the SDK that had a call for it is retired.
"""

import json
import os
import threading
import time

import uamqp
from azure.core.credentials import AccessToken
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.sastoken import SasToken

SERVICE = os.environ["IOTHUB_CONNECTION_STRING"]
DEVICE = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
DEVICE_ID = dict(part.split("=", 1) for part in DEVICE.split(";"))["DeviceId"]
FEEDBACK_S = 40  # a batch goes out 15 s after its first record


def feedback(parts: dict[str, str]) -> list[dict[str, str]]:
    host = parts["HostName"].partition(":")[0]

    def token() -> AccessToken:
        sas = SasToken(host, parts["SharedAccessKey"], parts["SharedAccessKeyName"])
        return AccessToken(str(sas), int(time.time()) + 3600)

    auth = uamqp.authentication.JWTTokenAuth(
        f"https://{host}", f"https://{host}", token, token_type=b"servicebus.windows.net:sastoken"
    )
    auth.update_token()
    client = uamqp.ReceiveClient(f"amqps://{host}/messages/serviceBound/feedback", auth=auth)
    try:
        (message,) = client.receive_message_batch(max_batch_size=1, timeout=FEEDBACK_S * 1000)
        records: list[dict[str, str]] = json.loads(b"".join(message.get_data()))
        return records
    finally:
        client.close()


received = []
arrived = threading.Event()


def receive_message_callback(message: object) -> None:
    received.append((message, time.time()))
    arrived.set()


# Sent before the device is there: it waits
manager = IoTHubRegistryManager.from_connection_string(SERVICE)
sent_s = time.time()
manager.send_c2d_message(
    DEVICE_ID,
    "Cloud to device message",
    properties={
        "messageId": "message_1",
        "correlationId": "correlation_1",
        "prop1": "test_1",
        "prop2": "test_2",
        "iothub-ack": "full",
    },
)
queued = manager.get_device(DEVICE_ID).cloud_to_device_message_count
client = IoTHubDeviceClient.create_from_connection_string(DEVICE)
client.on_message_received = receive_message_callback
client.connect()
assert arrived.wait(20), "no message arrived"
time.sleep(0.5)
(message, received_s) = received[0]
left = manager.get_device(DEVICE_ID).cloud_to_device_message_count
records = feedback(dict(part.split("=", 1) for part in SERVICE.split(";")))
client.shutdown()
seen = {
    "data": message.data.decode(),
    "messageId": message.message_id,
    "correlationId": message.correlation_id,
    "properties": message.custom_properties,
    "count": len(received),
    "took_s": received_s - sent_s,
    "queued": queued,
    "left": left,
    "feedback": records,
}
print(json.dumps(seen))
# On Python 3.13 the SDK waits for ever for its own thread when the interpreter ends first
del manager
