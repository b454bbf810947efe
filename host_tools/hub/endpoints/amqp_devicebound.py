"""`messages/devicebound`: the service sends messages to devices.

Source: Azure IoT Hub developer guide, "Send cloud-to-device messages"; azure-iot-hub 2.7.0.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from host_tools.hub.endpoints.amqp_incoming import Delivery
from host_tools.hub.endpoints.amqp_nodes import NOT_FOUND, UNAUTHORIZED, Grants, Route
from host_tools.hub.state.c2d import Message as DeviceMessage
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.limits import C2D
from host_tools.hub.storage import StorageError
from host_tools.hub.wire.amqp_message import Data, Message, Value
from host_tools.hub.wire.amqp_types import AmqpError

# Above the 64 KB that a device can be sent, so that a body just too long is rejected with its
# reason instead of costing the client its link.
MAX_MESSAGE_BYTES = 256 * 1024

_TO = re.compile(r"/devices/([^/]+)/messages/devicebound/?", re.IGNORECASE)
_CONDITIONS = {
    401: UNAUTHORIZED,
    403: "amqp:resource-limit-exceeded",
    404: NOT_FOUND,
    413: "amqp:link:message-size-exceeded",
    429: "com.microsoft:device-container-throttled",
}
_ACK = "iothub-ack"


def build_devicebound_route(grants: Grants) -> Route:
    return Route(
        r"messages/devicebound",
        incoming=lambda link, match: _DeviceBound(grants.hub),
        max_message_bytes=MAX_MESSAGE_BYTES,
    )


class _DeviceBound:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def on_message(self, delivery: Delivery, message: Message) -> None:
        """Accepted means queued and committed."""
        try:
            device_id, translated = _device_of(message), _translate(message)
            self._hub.limits.spend(C2D, len(translated.body))
            self._hub.c2d.send(device_id, translated)
        except AmqpError as error:
            delivery.reject(error.condition, str(error))
        except HubError as error:
            condition = _CONDITIONS.get(error.http_status, "amqp:not-allowed")
            delivery.reject(condition, f"{error.code} {error.name}: {error.message}")
        except StorageError as error:
            delivery.reject("amqp:internal-error", str(error))
        else:
            delivery.accept()

    def on_detach(self) -> None:
        """Nothing is kept per link."""


def _device_of(message: Message) -> str:
    to = message.properties.to
    match = _TO.fullmatch(to) if isinstance(to, str) else None
    if match is None:
        raise AmqpError("the message is not addressed to a device", "amqp:invalid-field")
    return unquote(match[1])


def _translate(message: Message) -> DeviceMessage:
    """Raises: AmqpError for what cannot be carried to a device."""
    asked = message.properties
    properties = {_text(k) or "": _text(v) for k, v in message.application_properties.items()}
    expiry_ms = asked.absolute_expiry_time
    return DeviceMessage(
        body=_body(message),
        message_id=_text(asked.message_id),
        correlation_id=_text(asked.correlation_id),
        user_id=_text(asked.user_id),
        content_type=_text(asked.content_type),
        content_encoding=_text(asked.content_encoding),
        expires_s=None if expiry_ms is None else expiry_ms / 1000,
        ack=(properties.pop(_ACK, None) or "none").lower(),
        properties=properties,
    )


def _body(message: Message) -> bytes:
    """Data as it is; a client that sends one AMQP value means its text or bytes."""
    if isinstance(message.body, Data):
        return bytes(message.body)
    value = message.body.value if isinstance(message.body, Value) else None
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    raise AmqpError("the body is neither data nor text", "amqp:not-implemented")


def _text(value: object) -> str | None:
    """Devices get every property as text; AMQP's true and false as .NET writes them."""
    if value is None:
        return None
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise AmqpError("a property is neither text nor a number") from None
    if isinstance(value, (list, dict, tuple)):
        raise AmqpError("a property is neither text nor a number", "amqp:invalid-field")
    # A str of our own, not the subclass that stands for an AMQP symbol.
    return str(value)
