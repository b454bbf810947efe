"""One AMQP connection without a socket: bytes in, bytes out, time handed in.

`receive` never raises for what a peer does: it ends in a close performative with the reason, and
`is_closing`. All that a connection may do in which phase stands in two tables, _ON_HEADER and
_ON_FRAME.
Source: AMQP 1.0 part 2 "Transport", sections 2.2 and 2.4.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from host_tools.hub.endpoints import amqp_sasl
from host_tools.hub.endpoints.amqp_link import LinkError
from host_tools.hub.endpoints.amqp_liveness import IDLE_TIME_OUT_MS, Liveness
from host_tools.hub.endpoints.amqp_nodes import NOT_FOUND, Grants, Route, RouteBuilder
from host_tools.hub.endpoints.amqp_session import Session
from host_tools.hub.state.hub import Hub
from host_tools.hub.wire.amqp_composites import Composite
from host_tools.hub.wire.amqp_frames import (
    AMQP_HEADER,
    MAX_FRAME_BYTES,
    MIN_FRAME_BYTES,
    SASL_HEADER,
    Frame,
    FrameReader,
    ProtocolHeader,
    build_frame,
)
from host_tools.hub.wire.amqp_performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    Open,
    SaslInit,
    Transfer,
)
from host_tools.hub.wire.amqp_types import AmqpError

CHANNEL_MAX = 63  # the service allows 4999; no client opens more than a few sessions
MAX_LINKS = 256  # in all sessions of a connection: bounds what half-sent messages can hold
# Once this much waits for a slow reader, links send no more until it has been read.
MAX_BACKLOG_BYTES = 1 << 20


class Phase(enum.Enum):
    HEADER = enum.auto()
    SASL = enum.auto()
    HEADER_AFTER_SASL = enum.auto()
    OPEN = enum.auto()
    OPENED = enum.auto()
    CLOSING = enum.auto()


class Connection:
    """`monotonic` gives seconds. `on_output` is called when there is output that `receive` or
    `tick` did not cause. Call `lost` once at the end, whatever ended it."""

    def __init__(
        self,
        hub: Hub,
        build_routes: RouteBuilder,
        monotonic: Callable[[], float],
        on_output: Callable[[], None],
    ) -> None:
        self.grants = Grants(hub)
        self.remote_max_frame_bytes = MIN_FRAME_BYTES
        self.reason = "the peer left"
        self._hub = hub
        self._routes = build_routes(self.grants)
        self._liveness = Liveness(monotonic)
        self._on_output = on_output
        self._reader = FrameReader()
        self._output = bytearray()
        self._phase = Phase.HEADER
        self._sessions: dict[int, Session] = {}

    # What the socket's side uses.

    @property
    def is_closing(self) -> bool:
        """Write the output that is left, then close."""
        return self._phase is Phase.CLOSING

    @property
    def has_room(self) -> bool:
        return len(self._output) < MAX_BACKLOG_BYTES

    def receive(self, data: bytes) -> None:
        self._liveness.on_heard()
        self._reader.feed(data)
        try:
            while not self.is_closing and (event := self._reader.next_event()) is not None:
                self._on_event(event)
        except AmqpError as error:
            self._fail(error.condition, str(error))

    def take_output(self) -> bytes:
        """Everything to write now. What waited for room follows at the next call."""
        data = bytes(self._output)
        self._output.clear()
        if len(data) >= MAX_BACKLOG_BYTES:
            self._resume()
        return data

    def tick(self) -> None:
        """Let time pass; call every `tick_s`."""
        complaint = self._liveness.complaint(self._phase is Phase.OPENED)
        if complaint is not None:
            self._fail("amqp:resource-limit-exceeded", complaint)
        elif self._phase is Phase.OPENED:
            if self._liveness.heartbeat_is_due:
                self._write(build_frame(0, None))
            for session in list(self._sessions.values()):
                session.check_grants()

    @property
    def tick_s(self) -> float:
        return self._liveness.tick_s

    def shut(self, description: str) -> None:
        """The hub stops."""
        self._fail("amqp:connection:forced", description)

    def lost(self) -> None:
        """Every handler hears that its link is gone."""
        self._phase = Phase.CLOSING
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.release()

    # What sessions use.

    def send(self, channel: int, body: Composite, payload: bytes = b"") -> None:
        if not self.is_closing:
            self._write(build_frame(channel, body, payload))

    def find_route(self, address: str) -> tuple[Route, re.Match[str]]:
        """Raises: LinkError."""
        if sum(len(session.links) for session in self._sessions.values()) >= MAX_LINKS:
            raise LinkError("too many links", "amqp:resource-limit-exceeded")
        for route in self._routes:
            match = route.match(address)
            if match is not None:
                return route, match
        raise LinkError("the hub has no such node", NOT_FOUND)

    # Events of the peer.

    def _on_event(self, event: ProtocolHeader | Frame) -> None:
        if isinstance(event, ProtocolHeader):
            on_header = _ON_HEADER.get(self._phase)
            if on_header is not None:
                return on_header(self, event)
        elif event.body is None:
            return None  # an empty frame: the peer is alive
        else:
            on_frame = _ON_FRAME.get((self._phase, type(event.body)))
            if on_frame is not None:
                return on_frame(self, event)
        raise AmqpError("not expected at this point", "amqp:illegal-state")

    def _on_header(self, header: ProtocolHeader) -> None:
        """Source: 2.2; a header that we do not serve is answered with one that we do."""
        if header == SASL_HEADER:
            self._write(SASL_HEADER.to_bytes() + build_frame(0, amqp_sasl.MECHANISMS))
            self._phase = Phase.SASL
        elif header == AMQP_HEADER:
            self._on_amqp_header(header)
        else:
            self._write(SASL_HEADER.to_bytes())
            self._leave("another version of AMQP is asked for")

    def _on_amqp_header(self, header: ProtocolHeader) -> None:
        self._write(AMQP_HEADER.to_bytes())
        if header == AMQP_HEADER:
            self._phase = Phase.OPEN
        else:
            self._leave("another version of AMQP is asked for")

    def _on_sasl_init(self, frame: Frame) -> None:
        assert isinstance(frame.body, SaslInit)
        outcome = amqp_sasl.answer_init(frame.body, self.grants)
        self._write(build_frame(0, outcome))
        if outcome.code == amqp_sasl.OK:
            self._reader.await_header()
            self._phase = Phase.HEADER_AFTER_SASL
        else:
            self._leave("SASL failed")

    def _on_open(self, frame: Frame) -> None:
        opening = frame.body
        assert isinstance(opening, Open)
        if opening.max_frame_size < MIN_FRAME_BYTES:
            raise AmqpError("max-frame-size is below 512", "amqp:invalid-field")
        # More than our own limit would only let one link's chunk hold up the others.
        self.remote_max_frame_bytes = min(int(opening.max_frame_size), MAX_FRAME_BYTES)
        if opening.idle_time_out:
            self._liveness.expect_within(int(opening.idle_time_out))
        self._send_open()

    def _send_open(self) -> None:
        self._phase = Phase.OPENED
        self.send(
            0,
            Open(
                self._hub.host_name,
                max_frame_size=MAX_FRAME_BYTES,
                channel_max=CHANNEL_MAX,
                idle_time_out=IDLE_TIME_OUT_MS,
            ),
        )

    def _on_begin(self, frame: Frame) -> None:
        assert isinstance(frame.body, Begin)
        if frame.channel > CHANNEL_MAX or frame.channel in self._sessions:
            raise AmqpError("the channel is in use or too high", "amqp:connection:framing-error")
        self._sessions[frame.channel] = Session(self, frame.channel, frame.body)

    def _on_session_frame(self, frame: Frame) -> None:
        self._session(frame.channel).handle(frame)

    def _on_end(self, frame: Frame) -> None:
        session = self._session(frame.channel)
        if not session.is_ended:
            session.end()
        del self._sessions[frame.channel]

    def _on_close(self, frame: Frame) -> None:
        self.send(0, Close())
        self._leave(self.reason)

    def _session(self, channel: int) -> Session:
        session = self._sessions.get(channel)
        if session is None:
            raise AmqpError("no session has this channel", "amqp:connection:framing-error")
        return session

    # Ends and output.

    def _fail(self, condition: str, description: str) -> None:
        """Tell the peer why, as far as it is ready to be told."""
        if self.is_closing:
            return
        if self._phase is Phase.OPEN:
            self._send_open()
        if self._phase is Phase.OPENED:
            self.send(0, Close(Error(condition, description)))
        self._leave(description)

    def _leave(self, reason: str) -> None:
        self.reason = reason
        self.lost()
        self._on_output()

    def _resume(self) -> None:
        for session in list(self._sessions.values()):
            session.resume()

    def _write(self, data: bytes) -> None:
        self._liveness.on_spoken()
        self._output += data
        self._on_output()


_ON_HEADER: dict[Phase, Callable[[Connection, ProtocolHeader], None]] = {
    Phase.HEADER: Connection._on_header,
    Phase.HEADER_AFTER_SASL: Connection._on_amqp_header,
}
_ON_FRAME: dict[tuple[Phase, type], Callable[[Connection, Frame], None]] = {
    (Phase.SASL, SaslInit): Connection._on_sasl_init,
    (Phase.OPEN, Open): Connection._on_open,
    (Phase.OPENED, Begin): Connection._on_begin,
    (Phase.OPENED, Attach): Connection._on_session_frame,
    (Phase.OPENED, Flow): Connection._on_session_frame,
    (Phase.OPENED, Transfer): Connection._on_session_frame,
    (Phase.OPENED, Disposition): Connection._on_session_frame,
    (Phase.OPENED, Detach): Connection._on_session_frame,
    (Phase.OPENED, End): Connection._on_end,
    (Phase.OPENED, Close): Connection._on_close,
}
