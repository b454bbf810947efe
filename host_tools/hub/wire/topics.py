"""IoT Hub's MQTT topics: what a device publishes becomes a value, and back to the device a topic.

Exact grammar, nothing else: a topic that is not in this file is no topic of the hub.

Source: iot-mqtt-connect-to-iot-hub (telemetry, twins, methods, cloud-to-device messages).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from host_tools.hub.wire.property_bag import Bag, build_bag, parse_bag
from host_tools.hub.wire.protocol_error import ProtocolError

MAX_REQUEST_ID_CHARS = 256
"""A request id is echoed and kept while the request lasts. SDKs use 36 characters at most."""

METHODS = "$iothub/methods/POST/#"
TWIN_ANSWERS = "$iothub/twin/res/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"

_TWIN_GET = "$iothub/twin/GET/"
_REPORTED = "$iothub/twin/PATCH/properties/reported/"
_METHOD_RESPONSE = re.compile(r"\$iothub/methods/res/(-?[0-9]{1,9})/(\?.*)", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class Telemetry:
    bag: Bag


@dataclass(frozen=True)
class TwinGet:
    request_id: str


@dataclass(frozen=True)
class ReportedPatch:
    request_id: str


@dataclass(frozen=True)
class MethodResponse:
    request_id: str
    status: int


DeviceTopic = Telemetry | TwinGet | ReportedPatch | MethodResponse


def parse_device_topic(client_id: str, topic: str) -> DeviceTopic:
    """Return what the device or module means by publishing to `topic`.

    `client_id` is `device`, or `device/module`. Raises ProtocolError for a topic that the hub
    does not have, or another client's.
    """
    telemetry = f"{_base(client_id)}/messages/events/"
    if topic.startswith(telemetry):
        return Telemetry(parse_bag(topic[len(telemetry) :]))
    if topic.startswith(_TWIN_GET):
        return TwinGet(_request_id(topic[len(_TWIN_GET) :]))
    if topic.startswith(_REPORTED):
        return ReportedPatch(_request_id(topic[len(_REPORTED) :]))
    if response := _METHOD_RESPONSE.fullmatch(topic):
        return MethodResponse(_request_id(response[2]), int(response[1]))
    raise ProtocolError("a publish to a topic that the hub does not have")


def parse_request(query: str) -> tuple[str, dict[str, str]]:
    """The request id, exactly as it is written, and the other parameters of `?name=value&…`.
    Raises ProtocolError."""
    pairs = (pair.partition("=") for pair in query.removeprefix("?").split("&"))
    return _request_id(query), {unquote(name): unquote(value) for name, _, value in pairs}


def _request_id(query: str) -> str:
    """Return the value of `$rid` in `?name=value&…`, in any place, exactly as it is written."""
    if query.startswith("?"):
        for pair in query[1:].split("&"):
            name, _, value = pair.partition("=")
            if name in ("$rid", "%24rid") and 0 < len(value) <= MAX_REQUEST_ID_CHARS:
                return value
    raise ProtocolError("a request without a usable $rid")


def _base(client_id: str) -> str:
    device_id, slash, module_id = client_id.partition("/")
    return f"devices/{device_id}/modules/{module_id}" if slash else f"devices/{device_id}"


def devicebound_filter(device_id: str) -> str:
    return f"devices/{device_id}/messages/devicebound/#"


def documented_filter(client_id: str, topic_filter: str) -> str | None:
    """Return the filter as the hub knows it, if the client may subscribe to it, else None.

    `devices/+/…` is what azure-sdk-for-c asks for: it means the device's own messages. A module
    has inputs instead of messages; only other modules behind an IoT Edge gateway send to them.
    """
    is_module = "/" in client_id
    own = f"{_base(client_id)}/inputs/#" if is_module else devicebound_filter(client_id)
    if topic_filter == devicebound_filter("+") and not is_module:
        return own
    return topic_filter if topic_filter in (METHODS, TWIN_ANSWERS, DESIRED, own) else None


def build_devicebound(device_id: str, bag: Mapping[str, str | None]) -> str:
    return f"devices/{device_id}/messages/devicebound/{build_bag(bag)}"


def build_method_request(name: str, request_id: str) -> str:
    """`*` stays: it parts component from command, and Node's SDK does not decode `%2A`."""
    return f"$iothub/methods/POST/{quote(name, safe='*')}/?$rid={request_id}"


def build_desired(version: int) -> str:
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def build_twin_answer(status: int, request_id: str, version: int | None = None) -> str:
    tail = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={request_id}{tail}"
