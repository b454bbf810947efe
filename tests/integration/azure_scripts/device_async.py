"""The device of device_sync.py, on the SDK's asyncio client."""

import asyncio
import json
import os
import sys

from azure.iot.device import Message, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient
from azure.iot.device.exceptions import ClientError


def tell(event, value=None):
    # One write for the line: the SDK calls handlers in threads of its own.
    os.write(1, (json.dumps([event, value]) + "\n").encode())


async def obey(client, word, rest):
    if word == "send":
        body, properties = json.loads(rest)
        message = Message(body)
        message.message_id = "m-1"
        message.content_type = "application/json"
        message.content_encoding = "utf-8"
        message.custom_properties.update(properties)
        await client.send_message(message)
        tell("sent")
    elif word == "twin":
        tell("twin", await client.get_twin())
    elif word == "report":
        try:
            await client.patch_twin_reported_properties(json.loads(rest))
            tell("reported")
        except ClientError as error:
            tell("refused", f"{error.__cause__}")


async def main():
    client = IoTHubDeviceClient.create_from_connection_string(
        os.environ["IOTHUB_DEVICE_CONNECTION_STRING"], **json.loads(sys.argv[1])
    )

    async def on_method(request):
        tell("method", [request.name, request.payload])
        answer = {"heard": request.payload}
        response = MethodResponse.create_from_method_request(request, 203, answer)
        await client.send_method_response(response)

    async def on_message(message):
        known = {"id": message.message_id, "type": message.content_type, "ack": message.ack}
        tell("message", [message.data.decode(), message.custom_properties, known])

    async def on_desired(patch):
        tell("desired", patch)

    async def on_connection():
        tell("connection", client.connected)

    client.on_connection_state_change = on_connection
    try:
        await client.connect()
    except ClientError as error:
        tell("failed", f"{type(error).__name__} from {error.__cause__!r}")
        return
    # Here assigning subscribes too, in the background.
    client.on_method_request_received = on_method
    client.on_message_received = on_message
    client.on_twin_desired_properties_patch_received = on_desired
    tell("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        word, _, rest = line.strip().partition(" ")
        if word == "quit":
            await client.shutdown()
            tell("over")
            return
        await obey(client, word, rest)


asyncio.run(main())
