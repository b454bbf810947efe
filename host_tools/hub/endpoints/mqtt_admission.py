"""Whether the client behind a CONNECT may come in, and as whom.

Source: MQTT 3.1.1 section 3.2.2.3 (return codes); iot-mqtt-connect-to-iot-hub (CONNECT fields).
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.identity import identity_key
from host_tools.hub.state.policies import Grant
from host_tools.hub.wire import mqtt_packets as p
from host_tools.hub.wire.mqtt_username import Username, parse_username
from host_tools.hub.wire.protocol_error import ProtocolError
from host_tools.hub.wire.topics import Telemetry, parse_device_topic


@dataclass(frozen=True)
class Admission:
    """A device or module that has shown who it is; `key` names it, as its client id does.
    `model_id` is "" when it announced none."""

    key: str
    model_id: str
    grant: Grant


class Refusal(Exception):
    """The CONNECT is answered with `return_code`. The text may be logged: it has no secrets."""

    def __init__(self, return_code: int, message: str) -> None:
        super().__init__(message)
        self.return_code = return_code


def admit(hub: Hub, connect: p.Connect, certificate: x509.Certificate | None) -> Admission:
    """`certificate`: the client's, of the TLS handshake.

    Raises Refusal; ProtocolError for a will that could never be sent.
    """
    username = _username(hub, connect)
    key = identity_key(username.device_id, username.module_id)
    who = ascii(key)[:280]
    if connect.client_id != key:
        raise Refusal(p.IDENTIFIER_REJECTED, f"the client id is not the {who} of the username")
    try:
        if connect.password:
            grant = hub.policies.authenticate_device(key, connect.password.decode())
        else:
            grant = hub.certificates.authenticate(key, certificate)
    except UnicodeDecodeError:
        raise Refusal(p.NOT_AUTHORIZED, f"device {who}: the token is not UTF-8") from None
    except HubError as error:
        raise Refusal(p.NOT_AUTHORIZED, f"device {who}: {error.message}") from None
    _check_will(key, connect.will)
    return Admission(key, username.model_id, grant)


def _username(hub: Hub, connect: p.Connect) -> Username:
    try:
        username = parse_username(connect.username or "")
    except ProtocolError as error:
        raise Refusal(p.NOT_AUTHORIZED, str(error)) from None
    if not hub.is_own_host(username.host):
        host = ascii(username.host)[:80]
        raise Refusal(p.NOT_AUTHORIZED, f"the username is for the hub {host}, not for this one")
    return username


def _check_will(key: str, will: p.Will | None) -> None:
    """A will is telemetry to come, and so has its topic and its quality of service."""
    if will is None:
        return
    if will.qos > 1 or not isinstance(parse_device_topic(key, will.topic), Telemetry):
        raise ProtocolError("the will is not telemetry of the device at QoS 0 or 1")
