"""A device on Microsoft's unmodified SDK, blocking client. Tells what happens in JSON lines.

Started with the SDK's keyword arguments as JSON; obeys the words that come on standard input.
"""

import json
import os
import sys

from azure.iot.device import IoTHubDeviceClient, Message, MethodResponse
from azure.iot.device.exceptions import ClientError


def tell(event, value=None):
    # One write for the line: the SDK calls handlers in threads of its own.
    os.write(1, (json.dumps([event, value]) + "\n").encode())


client = IoTHubDeviceClient.create_from_connection_string(
    os.environ["IOTHUB_DEVICE_CONNECTION_STRING"], **json.loads(sys.argv[1])
)


def on_method(request):
    tell("method", [request.name, request.payload])
    answer = MethodResponse.create_from_method_request(request, 203, {"heard": request.payload})
    client.send_method_response(answer)


def on_message(message):
    known = {"id": message.message_id, "type": message.content_type, "ack": message.ack}
    tell("message", [message.data.decode(), message.custom_properties, known])


client.on_connection_state_change = lambda: tell("connection", client.connected)
try:
    client.connect()
except ClientError as error:
    tell("failed", f"{type(error).__name__} from {error.__cause__!r}")
    sys.exit(0)
# Each of these subscribes.
client.on_method_request_received = on_method
client.on_message_received = on_message
client.on_twin_desired_properties_patch_received = lambda patch: tell("desired", patch)
tell("ready")

for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "send":
        body, properties = json.loads(rest)
        message = Message(body)
        message.message_id = "m-1"
        message.content_type = "application/json"
        message.content_encoding = "utf-8"
        message.custom_properties.update(properties)
        client.send_message(message)
        tell("sent")
    elif word == "twin":
        tell("twin", client.get_twin())
    elif word == "report":
        try:
            client.patch_twin_reported_properties(json.loads(rest))
            tell("reported")
        except ClientError as error:
            tell("refused", f"{error.__cause__}")
    elif word == "quit":
        client.shutdown()
        tell("over")
        break
