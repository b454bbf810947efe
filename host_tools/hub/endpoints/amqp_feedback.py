"""`messages/servicebound/feedback`: the service learns what became of its messages to devices.

Source: Azure IoT Hub developer guide, "Send cloud-to-device messages", message feedback.
"""

from __future__ import annotations

import json

from host_tools.hub.endpoints.amqp_nodes import Grants, Route
from host_tools.hub.endpoints.amqp_outgoing import OutgoingLink
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.feedback import Batch
from host_tools.hub.state.hub import Hub
from host_tools.hub.wire.amqp_message import Data, Message, Properties
from host_tools.hub.wire.amqp_performatives import Accepted
from host_tools.hub.wire.amqp_types import Symbol, Timestamp

CONTENT_TYPE = "application/vnd.microsoft.iothub.feedback.json"


def build_feedback_route(grants: Grants) -> Route:
    return Route(
        r"messages/servicebound/feedback",
        outgoing=lambda link, match: _Feedback(grants.hub, link),
    )


class _Feedback:
    def __init__(self, hub: Hub, link: OutgoingLink) -> None:
        self._hub = hub
        self._link = link
        self._locks: dict[int, str] = {}
        self._unsubscribe = hub.feedback.subscribe(self.on_credit)

    def on_credit(self) -> None:
        while self._link.can_send:
            batch = self._hub.feedback.next()
            if batch is None:
                return
            delivery_id = self._link.send(_build(batch, self._hub.host_name))
            if self._link.sends_settled:
                self._hub.feedback.complete(batch.lock)
            else:
                self._locks[delivery_id] = batch.lock

    def on_settled(self, delivery_id: int, state: object) -> None:
        self._settle(self._locks.pop(delivery_id), isinstance(state, Accepted))

    def on_detach(self) -> None:
        self._unsubscribe()
        for lock in self._locks.values():
            self._settle(lock, False)

    def _settle(self, lock: str, is_taken: bool) -> None:
        settle = self._hub.feedback.complete if is_taken else self._hub.feedback.abandon
        try:
            settle(lock)
        except HubError:
            pass  # the minute was over: somebody else gets it


def _build(batch: Batch, hub_name: str) -> Message:
    enqueued = Timestamp(int(batch.enqueued_s * 1000))
    return Message(
        body=Data((json.dumps(batch.records, separators=(",", ":")).encode("utf-8"),)),
        message_annotations={Symbol("iothub-enqueuedtime"): enqueued},
        properties=Properties(
            message_id=batch.lock,
            user_id=hub_name.encode("utf-8"),
            to="/messages/serviceBound/feedback",
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
        ),
    )
