"""AMQP frames and protocol headers: bytes in at any split, frames out.

The reader grows with nothing but the one unfinished frame, whose size is bounded before its bytes
are awaited. Every fault of the peer is an AmqpError.
Source: AMQP 1.0 part 2 "Transport", sections 2.2 (version negotiation) and 2.3 (framing);
part 5 "Security", section 5.3.1 (SASL frames).
"""

from __future__ import annotations

from dataclasses import dataclass

from host_tools.hub.wire.amqp_composites import Composite, compose
from host_tools.hub.wire.amqp_decode import Decoder
from host_tools.hub.wire.amqp_encode import encode_into
from host_tools.hub.wire.amqp_performatives import PERFORMATIVES, SASL_FRAMES, Transfer
from host_tools.hub.wire.amqp_types import AmqpError

# What we announce in `open`, and the service does too. A larger message comes in several frames.
MAX_FRAME_BYTES = 65536
# SASL frames are limited to 512 by the standard, but the PLAIN response may be a whole token.
MAX_SASL_FRAME_BYTES = 4096
MIN_FRAME_BYTES = 512  # the least that a peer may announce (MIN-MAX-FRAME-SIZE)

HEADER_BYTES = 8
AMQP_FRAME, SASL_FRAME = 0, 1
FRAMING_ERROR = "amqp:connection:framing-error"


@dataclass(frozen=True)
class ProtocolHeader:
    """`protocol_id`: 0 AMQP, 2 TLS, 3 SASL."""

    protocol_id: int
    version: tuple[int, int, int] = (1, 0, 0)

    def to_bytes(self) -> bytes:
        return b"AMQP" + bytes((self.protocol_id, *self.version))


AMQP_HEADER = ProtocolHeader(0)
SASL_HEADER = ProtocolHeader(3)


@dataclass(frozen=True)
class Frame:
    """`body` None: an empty frame, which only says that the peer is alive."""

    channel: int
    body: Composite | None
    payload: bytes = b""
    is_sasl: bool = False


class FrameReader:
    """Feed bytes, then take events until None. A protocol header is awaited at first, and again
    after `await_header` (SASL ends with a second header on the same connection)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._header_is_due = True
        self._is_sasl = False

    def feed(self, data: bytes) -> None:
        # Consumed bytes go here, once per chunk: once per frame would cost the square of it.
        del self._buffer[: self._offset]
        self._offset = 0
        self._buffer += data

    def await_header(self) -> None:
        self._header_is_due = True

    def next_event(self) -> ProtocolHeader | Frame | None:
        """None: more bytes are needed. Raises: AmqpError."""
        available = len(self._buffer) - self._offset
        if available < HEADER_BYTES:
            self._check_beginning()
            return None
        if self._header_is_due:
            return self._take_header()
        size = self._frame_size()
        if available < size:
            return None
        return self._take_frame(size)

    def _check_beginning(self) -> None:
        """An HTTP or TLS client on this port is told at its first byte, not after a time-out."""
        beginning = self._buffer[self._offset : self._offset + 4]
        if self._header_is_due and not b"AMQP".startswith(beginning):
            raise AmqpError("the connection does not begin with AMQP", FRAMING_ERROR)

    def _take(self, size: int) -> bytes:
        start = self._offset
        self._offset += size
        return bytes(self._buffer[start : self._offset])

    def _take_header(self) -> ProtocolHeader:
        octets = self._take(HEADER_BYTES)
        if octets[:4] != b"AMQP":
            raise AmqpError("the connection does not begin with AMQP", FRAMING_ERROR)
        self._header_is_due = False
        header = ProtocolHeader(octets[4], (octets[5], octets[6], octets[7]))
        self._is_sasl = header == SASL_HEADER
        return header

    def _frame_size(self) -> int:
        size = int.from_bytes(self._buffer[self._offset : self._offset + 4], "big")
        limit = MAX_SASL_FRAME_BYTES if self._is_sasl else MAX_FRAME_BYTES
        if not HEADER_BYTES <= size <= limit:
            raise AmqpError("a frame is shorter or longer than allowed", FRAMING_ERROR)
        return size

    def _take_frame(self, size: int) -> Frame:
        octets = self._take(size)
        body_at, kind = 4 * octets[4], octets[5]
        if kind != (SASL_FRAME if self._is_sasl else AMQP_FRAME):
            raise AmqpError("a frame is of the wrong kind", FRAMING_ERROR)
        if not HEADER_BYTES <= body_at <= size:
            raise AmqpError("the data offset of a frame is wrong", FRAMING_ERROR)
        channel = int.from_bytes(octets[6:8], "big")
        if body_at == size:
            return Frame(channel, None, is_sasl=self._is_sasl)
        return self._parse_body(channel, octets, body_at)

    def _parse_body(self, channel: int, octets: bytes, body_at: int) -> Frame:
        decoder = Decoder(octets, body_at)
        body = compose(decoder.value())
        if not isinstance(body, SASL_FRAMES if self._is_sasl else PERFORMATIVES):
            raise AmqpError("a frame holds no known performative")
        payload = octets[decoder.offset :]
        if payload and not isinstance(body, Transfer):
            raise AmqpError("bytes follow the performative of a frame")
        return Frame(channel, body, payload, self._is_sasl)


def build_frame(channel: int, body: Composite | None, payload: bytes = b"") -> bytes:
    """One whole frame; `body` None makes the empty frame that keeps a connection alive."""
    out = bytearray(HEADER_BYTES)
    if body is not None:
        encode_into(out, body.describe())
    out += payload
    out[0:4] = len(out).to_bytes(4, "big")
    out[4] = HEADER_BYTES // 4
    out[5] = SASL_FRAME if isinstance(body, SASL_FRAMES) else AMQP_FRAME
    out[6:8] = channel.to_bytes(2, "big")
    return bytes(out)
