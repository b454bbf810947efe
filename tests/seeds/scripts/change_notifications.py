"""Seed 000, "Read device telemetry" and the two sections on change notifications.

A device without components, and then one with them, report a property; who reads the built-in
endpoint is told of the twin and of the digital twin. The last line holds what was read.
"""

import json
import os
import threading

from azure.eventhub import EventHubConsumerClient
from azure.iot.device import IoTHubDeviceClient, Message

DEVICE = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
MODEL = "dtmi:com:example:Thermostat;1"
EXPECTED = 5

events = []
enough = threading.Event()


def on_event(partition_context: object, event: object) -> None:
    events.append(
        {
            "body": event.body_as_json(),
            "properties": {k.decode(): v.decode() for k, v in event.properties.items()},
            "system": {
                k.decode(): v.decode() if isinstance(v, bytes) else v
                for k, v in event.system_properties.items()
            },
        }
    )
    if len(events) == EXPECTED:
        enough.set()


device = IoTHubDeviceClient.create_from_connection_string(DEVICE, product_info=MODEL)
device.connect()
message = Message(json.dumps({"temperature": 21.5}))
message.content_type, message.content_encoding = "application/json", "utf-8"
device.send_message(message)
device.patch_twin_reported_properties({"maxTempSinceLastReboot": 10.96})
device.patch_twin_reported_properties(
    {"thermostat1": {"__t": "c", "maxTempSinceLastReboot": 98.34}}
)
device.shutdown()

client = EventHubConsumerClient.from_connection_string(
    conn_str=os.environ["EVENT_HUB_CONN_STR"],
    consumer_group="$default",
    eventhub_name=os.environ["EVENT_HUB_NAME"],
)
reading = threading.Thread(
    target=lambda: client.receive(on_event, starting_position="-1"), daemon=True
)
reading.start()
complete = enough.wait(40)
client.close()
assert complete, events
print(json.dumps({"events": events}))
