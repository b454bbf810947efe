"""A guided tour of one thermostat, through Microsoft's own service SDK and nothing else.

    IOTHUB_CONNECTION_STRING=... IOTHUB_DEVICE_ID=... python -m host_tools.tour

It knows neither the local hub nor the firmware: with another connection string it tours a
device on Azure. Each step prints one line; the first that fails ends the tour with code 1.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import AzureError
from azure.iot.hub import DigitalTwinClient, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties
from msrest.exceptions import HttpOperationError

from host_tools.building_tour import building_steps
from host_tools.service import ServiceError

COMPONENTS = ("thermostat1", "thermostat2")
# thermostat1 is asked for more than any room has at the start, so that it visibly heats.
TARGETS = {"thermostat1": 23.5, "thermostat2": 17.0}
IMPOSSIBLE_TARGET = 90
ACK_TIMEOUT_S = 15.0


class TourError(Exception):
    """A step did not show what it should; the text says what was seen instead."""


class Tour:
    """The steps, in order; each returns the line that tells what was seen."""

    def __init__(self, connection_string: str, device_id: str) -> None:
        self.device_id = device_id
        self.registry = IoTHubRegistryManager.from_connection_string(connection_string)
        self.digital_twins = DigitalTwinClient.from_connection_string(connection_string)

    def close(self) -> None:
        """The SDK leaves its AMQP client to `__del__`, which on Python 3.13 waits for ever once
        the interpreter has begun to end."""
        self.registry.amqp_svc_client.disconnect_sync()

    def steps(self) -> list[Callable[[], str]]:
        return [
            self.read_twin,
            self.set_targets,
            self.set_impossible_target,
            self.ask_reports,
            self.call_unknown_command,
            self.update_digital_twin,
            self.send_message,
        ]

    def read_twin(self) -> str:
        twin = self.registry.get_twin(self.device_id)
        model = twin.additional_properties.get("modelId") or "no model id"
        return f"twin read: {twin.connection_state}, etag {twin.etag}, model {model}"

    def set_targets(self) -> str:
        twin = self.registry.get_twin(self.device_id)
        desired = {
            name: {"__t": "c", "targetTemperature": target} for name, target in TARGETS.items()
        }
        patch = Twin(properties=TwinProperties(desired=desired))
        twin = self.registry.update_twin(self.device_id, patch, twin.etag)
        version = twin.properties.desired["$version"]
        for name in COMPONENTS:
            self.wait_ack(name, version, 200)
        shown = ", ".join(f"{name} {target} °C" for name, target in TARGETS.items())
        return f"both set points acknowledged with 200: {shown}; the etag matched"

    def set_impossible_target(self) -> str:
        desired = {"thermostat2": {"__t": "c", "targetTemperature": IMPOSSIBLE_TARGET}}
        patch = Twin(properties=TwinProperties(desired=desired))
        twin = self.registry.update_twin(self.device_id, patch)
        ack = self.wait_ack("thermostat2", twin.properties.desired["$version"], 400)
        return f"{IMPOSSIBLE_TARGET} °C refused with 400: {ack.get('ad')}; {ack['value']} stays"

    def ask_reports(self) -> str:
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=2)
        shown = []
        for name in COMPONENTS:
            report = self.call(f"{name}*getMaxMinReport", since, 200)
            shown.append(f"{name} {report['minTemp']} to {report['maxTemp']} °C")
        return "getMaxMinReport: " + "; ".join(shown)

    def call_unknown_command(self) -> str:
        self.call("thermostat1*makeCoffee", None, 404)
        return "thermostat1*makeCoffee: answered 404, as an unknown command should be"

    def update_digital_twin(self) -> str:
        patch = [{"op": "add", "path": "/thermostat2/targetTemperature", "value": 18.5}]
        self.digital_twins.update_digital_twin(self.device_id, patch)
        version = self.registry.get_twin(self.device_id).properties.desired["$version"]
        self.wait_ack("thermostat2", version, 200)
        component = self.digital_twins.get_digital_twin(self.device_id)["thermostat2"]
        return f"digital twin: thermostat2 now holds {component['targetTemperature']} °C"

    def send_message(self) -> str:
        text = "Window open in room 2?"
        self.registry.send_c2d_message(self.device_id, text, {"messageId": "tour-1", "floor": "1"})
        return f"cloud-to-device message sent: {text!r}"

    def call(self, name: str, payload: object, expected_status: int) -> Any:
        """Call a command; return its answer. Raises TourError on any other status."""
        method = CloudToDeviceMethod(method_name=name, payload=payload)
        answer = self.registry.invoke_device_method(self.device_id, method)
        if answer.status != expected_status:
            raise TourError(f"{name} answered {answer.status} instead of {expected_status}")
        return answer.payload

    def wait_ack(self, component: str, version: int, expected_code: int) -> dict[str, Any]:
        """The acknowledgement of desired `version`. Raises TourError when none comes in time."""
        deadline = time.monotonic() + ACK_TIMEOUT_S
        ack: dict[str, Any] = {}
        while time.monotonic() < deadline:
            reported = self.registry.get_twin(self.device_id).properties.reported
            ack = reported.get(component, {}).get("targetTemperature", {})
            if ack.get("av") == version and ack.get("ac") == expected_code:
                return ack
            time.sleep(0.1)
        raise TourError(
            f"{component} did not acknowledge version {version} with {expected_code} "
            f"within {ACK_TIMEOUT_S:.0f} s; its last acknowledgement was {ack}"
        )


def environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise TourError(f"{name} is not set; `thermo hub exec` sets it")
    return value


def main() -> int:
    try:
        tour = Tour(environment("IOTHUB_CONNECTION_STRING"), environment("IOTHUB_DEVICE_ID"))
        with contextlib.closing(tour):
            for step in [*tour.steps(), *building_steps(tour.device_id)]:
                print(step(), flush=True)
    except (TourError, ServiceError, HttpOperationError, AzureError, OSError) as error:
        print(f"the tour ended: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
