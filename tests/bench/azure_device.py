"""A device on azure-iot-device, unmodified, that does the work of the firmware: WHAT [COUNT]

`publish COUNT`  telemetry, four messages at once, and prints `took_us` and the µs it took
`first`          subscribes and reads the twin as the firmware does, then sends one message
`serve`          the same, answers methods, and sends two messages a second until its input ends
"""

import asyncio
import json
import os
import sys
import time

from azure.iot.device import Message, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient

WINDOW = 4
PERIOD_S = 0.5
REPORT = {"maxTemp": 21.5, "minTemp": 20.5, "avgTemp": 21, "startTime": "", "endTime": ""}


def message(number):
    made = Message(json.dumps({"temperature": (2111 + number % 9) / 100}))
    made.content_type = "application/json"
    made.content_encoding = "utf-8"
    made.custom_properties["$.sub"] = "thermostat1"
    return made


async def publish(client, count):
    began = time.perf_counter()
    for first in range(0, count, WINDOW):
        await asyncio.gather(*(client.send_message(message(first + n)) for n in range(WINDOW)))
    print("took_us", round((time.perf_counter() - began) * 1_000_000))


async def arrive(client):
    async def on_method(request):
        response = MethodResponse.create_from_method_request(request, 200, REPORT)
        await client.send_method_response(response)

    async def on_news(content):
        pass

    client.on_method_request_received = on_method
    client.on_message_received = on_news
    client.on_twin_desired_properties_patch_received = on_news
    await client.get_twin()


async def serve(client):
    await arrive(client)
    print("ready", flush=True)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    number = 0
    while not ended.done():
        await client.send_message(message(number))
        number += 1
        await asyncio.wait({ended}, timeout=PERIOD_S)


async def main():
    what = sys.argv[1]
    client = IoTHubDeviceClient.create_from_connection_string(
        os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
    )
    await client.connect()
    if what == "publish":
        await publish(client, int(sys.argv[2]))
    elif what == "first":
        await arrive(client)
        await client.send_message(message(0))
    else:
        await serve(client)
    await client.shutdown()


asyncio.run(main())
