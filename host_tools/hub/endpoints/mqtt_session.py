"""What the packets of an admitted device mean: telemetry, twin, methods, messages.

One Session serves one connection. It is driven by its connection (`begin`, `handle`, `settle`,
`end`) and by the hub's state, to which it is the device (state.connections.Connection).

Source: iot-mqtt-connect-to-iot-hub.
"""

from __future__ import annotations

import asyncio
import json

from host_tools.hub.endpoints.mqtt_admission import Admission
from host_tools.hub.endpoints.mqtt_delivery import Delivery
from host_tools.hub.endpoints.mqtt_link import Link
from host_tools.hub.state.documents import JsonObject, parse_json_object
from host_tools.hub.state.errors import HubError, argument_invalid
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.limits import TELEMETRY, TWIN_READ, TWIN_UPDATE
from host_tools.hub.wire import mqtt, topics
from host_tools.hub.wire import mqtt_packets as p
from host_tools.hub.wire.property_bag import Bag
from host_tools.hub.wire.protocol_error import ProtocolError

_RETAINED = "mqtt-retain"
_WILL: Bag = {"iothub-MessageType": "Will"}


class Session:
    def __init__(self, hub: Hub, link: Link, admission: Admission, connect: p.Connect) -> None:
        self._hub = hub
        self._link = link
        self._admission = admission
        self._id = admission.key
        self._clean = connect.clean_session
        self._will = connect.will
        self._granted: dict[str, int] = {}
        self._owed: list[int] = []
        self._delivery = Delivery(hub, self._id, link)

    # What the connection does.

    def begin(self) -> None:
        """Take the device's place, answer CONNECT, and send what was queued meanwhile."""
        present = self._hub.connections.attach(self._id, self, self._clean)
        self._hub.c2d.abandon_all(self._id)
        if self._admission.model_id:
            self._hub.twins.set_model_id(self._id, self._admission.model_id)
        self._granted = self._hub.connections.subscriptions(self._id)
        self._link.write(mqtt.build_connack(p.ACCEPTED, present))
        self._subscriptions_changed()

    def handle(self, packet: p.ClientPacket) -> None:
        """Raises ProtocolError and HubError; both end the connection."""
        match packet:
            case p.Publish():
                self._publish(packet)
            case p.Puback():
                self._delivery.acknowledge(packet.packet_id)
            case p.Subscribe():
                self._subscribe(packet)
            case p.Unsubscribe():
                self._unsubscribe(packet)
            case p.Pingreq():
                self._hub.connections.touch(self._id)
                self._link.write(mqtt.build_pingresp())
            case p.Disconnect():
                self._will = None
                self._link.close("the device disconnected")
            case _:
                raise ProtocolError("a packet of QoS 2, which the hub does not have")

    async def settle(self) -> None:
        """Acknowledge what was handled, in its order, once the state is committed."""
        if not self._owed:
            return
        owed, self._owed = self._owed, []
        await self._hub.flush()
        # A client that sends too fast is answered, and read, later
        await asyncio.sleep(self._hub.limits.delay_s(len(owed)))
        self._link.write(b"".join(map(mqtt.build_puback, owed)))

    def end(self, hub_stops: bool = False) -> None:
        """The connection is over. Its will is telemetry, unless the hub itself is leaving."""
        if self._will is not None and not hub_stops:
            try:
                self._telemetry(self._will.topic, self._will.payload, self._will.retain, _WILL)
            except HubError:
                pass  # the device was deleted: nobody is left to have a will
        self._will = None
        if self._hub.connections.detach(self._id, self):
            self._hub.c2d.abandon_all(self._id)
            if self._clean:
                self._hub.connections.clear_subscriptions(self._id)

    # What the hub's state does (Connection).

    def send_method(self, name: str, rid: str, payload_json: bytes) -> bool:
        topic = topics.build_method_request(name, rid)
        if topics.METHODS not in self._granted or len(topic) > mqtt.MAX_TOPIC_BYTES:
            return False
        self._link.write(mqtt.build_publish(topic, payload_json))
        return True

    def send_desired(self, patch: JsonObject, version: int) -> None:
        if topics.DESIRED in self._granted:
            self._link.write(mqtt.build_publish(topics.build_desired(version), _json(patch)))

    def wake_c2d(self) -> None:
        self._delivery.wake()

    def close(self, reason: str) -> None:
        self._link.close(reason)

    # Each packet.

    def _publish(self, packet: p.Publish) -> None:
        if packet.qos > 1:
            raise ProtocolError("a PUBLISH with QoS 2, which the hub does not have")
        match topics.parse_device_topic(self._id, packet.topic):
            case topics.Telemetry():
                self._telemetry(packet.topic, packet.payload, packet.retain, {})
            case topics.TwinGet(request_id):
                self._twin_get(request_id)
            case topics.ReportedPatch(request_id):
                self._reported(request_id, packet.payload)
            case topics.MethodResponse(request_id, status):
                self._hub.methods.answer(self._id, request_id, status, packet.payload)
        if packet.packet_id is not None:
            self._owed.append(packet.packet_id)

    def _telemetry(self, topic: str, payload: bytes, retain: bool, extra: Bag) -> None:
        message = topics.parse_device_topic(self._id, topic)
        assert isinstance(message, topics.Telemetry)
        bag = {**message.bag, **extra}
        if retain:
            bag[_RETAINED] = "true"
        self._hub.limits.spend(TELEMETRY, len(payload))
        model_id, grant = self._admission.model_id, self._admission.grant
        self._hub.telemetry.append(self._id, payload, bag, model_id, grant.auth_method)

    def _twin_get(self, request_id: str) -> None:
        self._hub.connections.touch(self._id)
        try:
            self._hub.limits.spend(TWIN_READ)
        except HubError as error:
            self._refuse(error, request_id)
        else:
            self._answer(200, request_id, _json(self._hub.twins.device_view(self._id)))

    def _reported(self, request_id: str, payload: bytes) -> None:
        try:
            self._hub.limits.spend(TWIN_UPDATE, len(payload))
            version = self._hub.twins.update_reported(self._id, _patch(payload))
        except HubError as error:
            self._refuse(error, request_id)
        else:
            self._answer(204, request_id, b"", version)

    def _refuse(self, error: HubError, request_id: str) -> None:
        body = _json({"errorCode": error.code, "message": error.message})
        self._answer(error.http_status, request_id, body)

    def _answer(
        self, status: int, request_id: str, body: bytes, version: int | None = None
    ) -> None:
        if topics.TWIN_ANSWERS in self._granted:
            topic = topics.build_twin_answer(status, request_id, version)
            self._link.write(mqtt.build_publish(topic, body))

    def _subscribe(self, packet: p.Subscribe) -> None:
        """The hub allows five subscriptions and has four filters, so that none is too many."""
        codes = []
        for topic_filter, asked in packet.filters:
            name, qos = topics.documented_filter(self._id, topic_filter), min(asked, 1)
            if name is not None and self._granted.get(name) != qos:
                self._granted[name] = qos
                self._hub.connections.subscribe(self._id, name, qos)
            codes.append(p.SUBSCRIPTION_REFUSED if name is None else qos)
        self._link.write(mqtt.build_suback(packet.packet_id, codes))
        self._subscriptions_changed()

    def _unsubscribe(self, packet: p.Unsubscribe) -> None:
        for topic_filter in packet.filters:
            name = topics.documented_filter(self._id, topic_filter)
            if name is not None and self._granted.pop(name, None) is not None:
                self._hub.connections.unsubscribe(self._id, name)
        self._link.write(mqtt.build_unsuback(packet.packet_id))
        self._subscriptions_changed()

    def _subscriptions_changed(self) -> None:
        self._delivery.qos = self._granted.get(topics.devicebound_filter(self._id))
        self._delivery.wake()


def _patch(payload: bytes) -> JsonObject:
    """Raises HubError 400004."""
    try:
        return parse_json_object(payload)
    except ValueError as error:
        raise argument_invalid(f"The patch cannot be read: {error}.") from None


def _json(document: JsonObject) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
