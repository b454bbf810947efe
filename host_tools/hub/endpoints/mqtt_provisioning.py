"""The MQTT side of the provisioning service, behind the same door as the hub's.

A client whose username begins with the id scope and `/registrations/` means this service.

Source: iot-mqtt-connect-to-iot-dps.
"""

from __future__ import annotations

import json
import re

from cryptography import x509

from host_tools.hub.endpoints.mqtt_admission import Refusal
from host_tools.hub.endpoints.mqtt_link import Link
from host_tools.hub.provisioning.documents import check_body, problem
from host_tools.hub.provisioning.registrations import Credentials
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.wire import mqtt, topics
from host_tools.hub.wire import mqtt_packets as p
from host_tools.hub.wire.protocol_error import ProtocolError

ANSWERS = "$dps/registrations/res/#"
_USERNAME = re.compile(r"([^/]+)/registrations/([^/]+)/(?:\?)?api-version=([^&]*)(?:&.*)?")
_REGISTER = "$dps/registrations/PUT/iotdps-register/"
_STATUS = "$dps/registrations/GET/iotdps-get-operationstatus/"


def is_for_provisioning(username: str | None) -> bool:
    return username is not None and _USERNAME.fullmatch(username) is not None


def admit(hub: Hub, connect: p.Connect, certificate: x509.Certificate | None) -> Credentials:
    """Raises Refusal."""
    match = _USERNAME.fullmatch(connect.username or "")
    assert match is not None
    scope, registration_id, _ = match.groups()
    who = f"registration {ascii(registration_id)[:140]}"
    registrations = hub.provisioning
    if scope.lower() != registrations.scope.lower():
        raise Refusal(p.NOT_AUTHORIZED, f"{who}: the id scope is another service's")
    if connect.client_id != registration_id:
        raise Refusal(p.IDENTIFIER_REJECTED, f"{who}: the client id is another")
    try:
        password = (connect.password or b"").decode()
        return registrations.admit(registration_id, password, certificate)
    except UnicodeDecodeError:
        raise Refusal(p.NOT_AUTHORIZED, f"{who}: the token is not UTF-8") from None
    except HubError as error:
        raise Refusal(p.NOT_AUTHORIZED, f"{who}: {error.message}") from None


class ProvisioningSession:
    """What the packets of an admitted device mean. Driven by its connection as `Session` is."""

    def __init__(self, hub: Hub, link: Link, shown: Credentials) -> None:
        self._registrations = hub.provisioning
        self._hub = hub
        self._link = link
        self._shown = shown
        self._is_subscribed = False
        self._owed: list[int] = []

    def begin(self) -> None:
        self._link.write(mqtt.build_connack(p.ACCEPTED, False))

    def handle(self, packet: p.ClientPacket) -> None:
        """Raises ProtocolError, which ends the connection."""
        match packet:
            case p.Publish():
                self._publish(packet)
            case p.Subscribe():
                self._subscribe(packet)
            case p.Unsubscribe():
                self._link.write(mqtt.build_unsuback(packet.packet_id))
            case p.Pingreq():
                self._link.write(mqtt.build_pingresp())
            case p.Disconnect():
                self._link.close("the device disconnected")
            case p.Puback():
                pass  # of an answer, which was sent at QoS 0
            case _:
                raise ProtocolError("a packet of QoS 2, which the service does not have")

    async def settle(self) -> None:
        owed, self._owed = self._owed, []
        if owed:
            self._link.write(b"".join(map(mqtt.build_puback, owed)))

    def _subscribe(self, packet: p.Subscribe) -> None:
        codes = []
        for topic_filter, asked in packet.filters:
            is_known = topic_filter == ANSWERS
            self._is_subscribed = self._is_subscribed or is_known
            codes.append(min(asked, 1) if is_known else p.SUBSCRIPTION_REFUSED)
        self._link.write(mqtt.build_suback(packet.packet_id, codes))

    def _publish(self, packet: p.Publish) -> None:
        if packet.qos > 1:
            raise ProtocolError("a PUBLISH with QoS 2, which the service does not have")
        is_register = packet.topic.startswith(_REGISTER)
        if not is_register and not packet.topic.startswith(_STATUS):
            raise ProtocolError("a publish to a topic that the service does not have")
        query = packet.topic[len(_REGISTER if is_register else _STATUS) :]
        request_id, asked = topics.parse_request(query)
        try:
            if is_register:
                check_body(packet.payload, self._shown.registration_id)
                self._answer(202, request_id, self._registrations.register(self._shown))
            else:
                operation_id = asked.get("operationId") or ""
                self._answer(
                    200, request_id, self._registrations.result(self._shown, operation_id)
                )
        except HubError as error:
            told = problem(error, self._hub.clock())
            self._answer(error.http_status, request_id, told)
        if packet.packet_id is not None:
            self._owed.append(packet.packet_id)

    def _answer(self, status: int, request_id: str, body: JsonObject) -> None:
        if not self._is_subscribed:
            return
        topic = f"$dps/registrations/res/{status}/?$rid={request_id}"
        if status in (202, 429):
            topic += f"&retry-after={self._registrations.retry_after_s}"
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        self._link.write(mqtt.build_publish(topic, text))
