"""The MQTT username of a device: which hub it means, who it is, and what it announces.

    {host}/{deviceId}/?api-version=…&DeviceClientType=…&model-id=…

Read leniently, because clients in the field differ: the `?` may be missing, the parameters come
in any order, and their values may or may not be percent-encoded.

Source: iot-mqtt-connect-to-iot-hub, "Using the MQTT protocol directly".
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from host_tools.hub.wire.protocol_error import ProtocolError

MAX_MODEL_ID_CHARS = 128
"""The longest `@id` of a DTDL interface."""


@dataclass(frozen=True)
class Username:
    """`module_id` and `model_id` are "" where there is none."""

    host: str
    device_id: str
    module_id: str
    model_id: str


def parse_username(text: str) -> Username:
    """Raises ProtocolError for what names no hub or no device."""
    host, _, rest = text.partition("/")
    device_id, _, rest = rest.partition("/")
    if not host or not device_id:
        raise ProtocolError("the username is not {host}/{deviceId}/?api-version=…")
    module_id, slash, query = rest.partition("/")
    if not slash or "=" in module_id:
        module_id, query = "", rest
    model_id = _parameters(query).get("model-id", "")
    if len(model_id) > MAX_MODEL_ID_CHARS:
        raise ProtocolError("the model id is longer than a DTMI may be")
    return Username(host, device_id, module_id, model_id)


def _parameters(query: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in query.lstrip("?").split("&"))
    return {unquote(name): unquote(value) for name, _, value in pairs}
