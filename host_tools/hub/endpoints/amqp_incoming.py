"""Links on which the peer sends: deliveries put together from their frames, credit kept up.

Source: AMQP 1.0 part 2 "Transport", sections 2.6.7 (flow control) and 2.6.14 (transfer).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from host_tools.hub.endpoints.amqp_link import SERIAL, Link, LinkError
from host_tools.hub.wire.amqp_composites import Composite
from host_tools.hub.wire.amqp_message import Message, parse_message
from host_tools.hub.wire.amqp_performatives import (
    RECEIVER,
    Accepted,
    Attach,
    Disposition,
    Error,
    Flow,
    Rejected,
    Transfer,
)
from host_tools.hub.wire.amqp_types import AmqpError

if TYPE_CHECKING:
    from host_tools.hub.endpoints.amqp_session import Session

# Messages that a peer may have under way on one link. One C2D client sends one at a time; a bulk
# sender gets its next credit before it has used up half.
LINK_CREDIT = 100


class Receiver(Protocol):
    """What stands behind a link on which the peer sends."""

    def on_message(self, delivery: Delivery, message: Message) -> None:
        """Settle the delivery, now or later. Raises: LinkError."""

    def on_detach(self) -> None:
        """The link is gone, whatever the reason; called once."""


class Delivery:
    """One message from the peer, to be accepted or rejected; only the first call counts."""

    def __init__(self, link: IncomingLink, delivery_id: int) -> None:
        self._link = link
        self._delivery_id = delivery_id
        self._is_settled = False
        self.payload = bytearray()
        self.is_presettled = False

    def accept(self) -> None:
        self._settle(Accepted())

    def reject(self, condition: str, description: str) -> None:
        self._settle(Rejected(Error(condition, description)))

    def _settle(self, state: Composite) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        if self._link.is_attached and not self.is_presettled:
            number = self._delivery_id
            self._link.session.send(Disposition(RECEIVER, number, number, True, state))
        self._link.on_settled()


class IncomingLink(Link):
    """Puts deliveries together from their frames, and keeps the peer in credit."""

    def __init__(
        self, session: Session, attach: Attach, address: str, max_message_bytes: int
    ) -> None:
        super().__init__(session, attach, address)
        self.handler: Receiver | None = None
        self.max_message_bytes = max_message_bytes
        self._delivery_count = int(attach.initial_delivery_count or 0)
        self._credit = 0
        self._outstanding = 0  # begun and not settled
        self._partial: Delivery | None = None

    def grant_credit(self) -> None:
        """Top the peer's credit up, once half of it is gone; unsettled messages count."""
        allowed = LINK_CREDIT - self._outstanding
        if self.is_attached and self._credit <= allowed // 2:
            self._credit = allowed
            self.send_flow()

    def send_flow(self) -> None:
        self.session.send_flow(self.handle, self._delivery_count, self._credit)

    def on_flow(self, flow: Flow) -> None:
        """The sender's view: only the count matters here. Source: 2.6.7."""
        if flow.delivery_count is not None:
            self._delivery_count = int(flow.delivery_count)
        if flow.echo:
            self.send_flow()

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        """Raises: LinkError."""
        delivery = self._partial or self._begin(transfer)
        self._partial = delivery
        if transfer.settled is not None:
            delivery.is_presettled = transfer.settled
        if len(delivery.payload) + len(payload) > self.max_message_bytes:
            raise LinkError("the message is too long", "amqp:link:message-size-exceeded")
        delivery.payload += payload
        if transfer.aborted:
            self._abort()
        elif not transfer.more:
            self._partial = None
            self._hand_over(delivery)

    def on_settled(self) -> None:
        self._outstanding -= 1
        self.grant_credit()

    def _begin(self, transfer: Transfer) -> Delivery:
        if transfer.delivery_id is None:
            raise LinkError("the first transfer of a delivery has no id", "amqp:invalid-field")
        if self._credit <= 0:
            raise LinkError("a transfer without credit", "amqp:link:transfer-limit-exceeded")
        self._credit -= 1
        self._outstanding += 1
        self._delivery_count = (self._delivery_count + 1) % SERIAL
        return Delivery(self, int(transfer.delivery_id))

    def _abort(self) -> None:
        self._partial = None
        self.on_settled()

    def _hand_over(self, delivery: Delivery) -> None:
        try:
            message = parse_message(bytes(delivery.payload))
        except AmqpError as error:
            delivery.reject(error.condition, str(error))
            return
        assert self.handler is not None
        self.handler.on_message(delivery, message)
        if delivery.is_presettled:
            delivery.accept()

    def _tell_handler(self) -> None:
        self._partial = None
        if self.handler is not None:
            self.handler.on_detach()
