"""Nodes of requests and replies: `$cbs` now, others of its kind (`$management`) in the same way.

A client sends requests on one link and hears on another link of the same address; requests carry
no usable reply-to, so that the reply goes to the connection's own receiving link.
Source: AMQP Management (working draft), section 3; measured with uamqp and Node's client.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from host_tools.hub.endpoints.amqp_incoming import Delivery, IncomingLink
from host_tools.hub.endpoints.amqp_link import LinkError
from host_tools.hub.endpoints.amqp_outgoing import OutgoingLink
from host_tools.hub.wire.amqp_message import Message, Properties, Value
from host_tools.hub.wire.amqp_types import Int

# Replies that wait for a client to open its receiving link, or to give credit on it. A client
# has one or two requests under way.
MAX_WAITING = 32


@dataclass(frozen=True)
class Reply:
    status: int
    description: str
    value: object = None


class RequestNode:
    """`answer` gets the request and gives the reply."""

    def __init__(self, answer: Callable[[Message], Reply]) -> None:
        self._answer = answer
        self._replies: OutgoingLink | None = None
        self._waiting: deque[Message] = deque()

    def open_requests(self, link: IncomingLink, match: re.Match[str]) -> _Requests:
        return _Requests(self)

    def open_replies(self, link: OutgoingLink, match: re.Match[str]) -> _Replies:
        self._replies = link
        return _Replies(self, link)

    def take(self, delivery: Delivery, request: Message) -> None:
        """Raises: LinkError when the client does not fetch its replies."""
        if self._count_waiting() >= MAX_WAITING:
            raise LinkError("replies are not fetched", "amqp:resource-limit-exceeded")
        reply = self._answer(request)
        # uamqp takes a reply that comes before the request's own outcome for a failure.
        delivery.accept()
        self._waiting.append(_build_reply(request, reply))
        self.flush()

    def flush(self) -> None:
        while self._replies is not None and self._replies.is_attached and self._waiting:
            self._replies.send(self._waiting.popleft())

    def forget(self, link: OutgoingLink) -> None:
        if self._replies is link:
            self._replies = None

    def _count_waiting(self) -> int:
        queued = 0 if self._replies is None else self._replies.queued
        return len(self._waiting) + queued


class _Requests:
    def __init__(self, node: RequestNode) -> None:
        self._node = node

    def on_message(self, delivery: Delivery, message: Message) -> None:
        self._node.take(delivery, message)

    def on_detach(self) -> None:
        """Nothing is kept per link of requests."""


class _Replies:
    def __init__(self, node: RequestNode, link: OutgoingLink) -> None:
        self._node = node
        self._link = link

    def on_credit(self) -> None:
        self._node.flush()

    def on_settled(self, delivery_id: int, state: object) -> None:
        """A reply that the client does not like is its own affair."""

    def on_detach(self) -> None:
        self._node.forget(self._link)


def _build_reply(request: Message, reply: Reply) -> Message:
    """The correlation id is the request's message id, its AMQP type kept."""
    asked = request.properties
    return Message(
        body=Value(reply.value),
        properties=Properties(to=asked.reply_to, correlation_id=asked.message_id),
        application_properties={
            "status-code": Int(reply.status),
            "status-description": reply.description,
        },
    )
