"""Devices of azure-iot-device that do what their model says, but for one thing each.

    python certify_devices.py '{"device id": ["connection string", "defect"], …}'

A line `online` tells when all of them are. They run until they are ended.
"""

import asyncio
import json
import sys

from azure.iot.device import Message, MethodResponse, exceptions
from azure.iot.device.aio import IoTHubDeviceClient

MODEL = "dtmi:com:example:TemperatureController;1"
COMPONENTS = ("thermostat1", "thermostat2")
DEFAULT_C = 21.0
REPORT = {
    "maxTemp": 23.5,
    "minTemp": 20.5,
    "avgTemp": 21.9,
    "startTime": "2026-11-27T00:00:00Z",
    "endTime": "2026-11-27T00:01:00Z",
}
INFORMATION = {
    "manufacturer": "Example",
    "model": "One",
    "swVersion": "1.0",
    "osName": "none",
    "processorArchitecture": "x",
    "processorManufacturer": "y",
    "totalStorage": 1024.0,
    "totalMemory": 256.0,
}


class Device:
    def __init__(self, text, defect):
        self._defect = defect
        model = {} if defect == "model" else {"product_info": MODEL}
        self._client = IoTHubDeviceClient.create_from_connection_string(
            text, connection_retry_interval=1, keep_alive=10, **model
        )

    def has(self, defect):
        return self._defect == defect

    async def start(self):
        client = self._client
        client.on_twin_desired_properties_patch_received = self._on_desired
        client.on_method_request_received = self._on_command
        client.on_connection_state_change = self._on_change
        await client.connect()
        await client.get_twin()
        await self._report_facts()
        work = self._telemetry(), self._stay_connected()
        self._tasks = [asyncio.create_task(each) for each in work]

    async def _stay_connected(self):
        """The SDK gives up for good when it is refused, as while it is disabled."""
        while True:
            await asyncio.sleep(1)
            if not self._client.connected:
                try:
                    await self._client.connect()
                except exceptions.ClientError:
                    pass  # not yet

    # ---- reported

    async def _report_facts(self):
        facts = {} if self.has("property missing") else {"serialNumber": "sn-1"}
        if self.has("property type"):
            facts["serialNumber"] = 7
        if self.has("property undeclared"):
            facts["colour"] = "red"
        mark = {} if self.has("component unmarked") else {"__t": "c"}
        for name in COMPONENTS:
            facts[name] = {**mark, "maxTempSinceLastReboot": 23.5}
        facts["deviceInformation"] = {**mark, **INFORMATION}
        await self._client.patch_twin_reported_properties(facts)

    async def _on_change(self):
        if self._client.connected and not self.has("twin unread"):
            try:
                twin = await self._client.get_twin()
            except exceptions.ClientError:
                return  # it is gone again
            await self._on_desired(twin["desired"])

    async def _on_desired(self, patch):
        version = patch["$version"]
        report = {}
        for name in COMPONENTS:
            section = patch.get(name)
            if isinstance(section, dict) and "targetTemperature" in section:
                answer = self._answer(section["targetTemperature"], version)
                if answer is not None:
                    report[name] = {"__t": "c", "targetTemperature": answer}
        if report and self._client.connected:
            await self._client.patch_twin_reported_properties(report)

    def _answer(self, value, version):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if self.has("write ignored") and is_number:
            return None
        if self.has("write bare") and is_number:
            return value
        if self.has("ack version") and is_number:
            version -= 1
        if self.has("ack value") and is_number:
            return {"value": value + 5, "ac": 200, "av": version, "ad": "ok"}
        if self.has("ack code") and is_number:
            return {"value": value, "ac": 500, "av": version, "ad": "no"}
        if value is None:
            if self.has("null ignored"):
                return None
            return {"value": DEFAULT_C, "ac": 203, "av": 0, "ad": "default"}
        if not is_number and not self.has("wrong type"):
            return {"value": DEFAULT_C, "ac": 400, "av": version, "ad": "no number"}
        return {"value": value, "ac": 200, "av": version, "ad": "ok"}

    # ---- commands

    async def _on_command(self, request):
        status, answer = self._result(request.name, request.payload)
        response = MethodResponse.create_from_method_request(request, status, answer)
        await self._client.send_method_response(response)

    def _result(self, name, payload):
        part, _, command = name.rpartition("*")
        if name == "reboot":
            is_fit = isinstance(payload, int) or self.has("wrong payload")
            return (200, None) if is_fit else (400, None)
        is_component = part in COMPONENTS or (self.has("command at root") and not part)
        if command == "getMaxMinReport" and is_component:
            if not isinstance(payload, str) and not self.has("wrong payload"):
                return (200, None) if self.has("command at root") and not part else (400, None)
            if self.has("command fails"):
                return 500, None
            if self.has("command answer"):
                return 200, {**REPORT, "maxTemp": "warm"}
            return 200, REPORT
        return (200, None) if self.has("unknown command") else (404, None)

    # ---- telemetry

    async def _telemetry(self):
        while True:
            for name in ("", *COMPONENTS):
                body = {"temperature": 21.5} if name else {"workingSet": 100.0}
                if name and self.has("telemetry type"):
                    body["temperature"] = "21.5"
                if self.has("telemetry undeclared"):
                    body["bogus"] = 1
                message = Message(json.dumps(body))
                if not self.has("telemetry content"):
                    message.content_type, message.content_encoding = "application/json", "utf-8"
                if name and not self.has("telemetry at root"):
                    place = "thermostat9" if self.has("telemetry component") else name
                    message.custom_properties["$.sub"] = place
                try:
                    await self._client.send_message(message)
                except exceptions.ClientError:
                    pass  # it is away for the moment
            await asyncio.sleep(1)


async def main():
    wanted = json.loads(sys.argv[1])
    devices = [Device(text, defect) for text, defect in wanted.values()]
    await asyncio.gather(*(each.start() for each in devices))
    print("online", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
