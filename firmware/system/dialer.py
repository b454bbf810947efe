"""Verified TLS connections that never wait: each call does what can be done at once.

MicroPython's TLS (mbedTLS) goes on with a handshake in any read or write, and tells nobody
when it is over: `cipher()` before the end crashes the interpreter. So a link is ready when
TLS has begun; the handshake goes on in `write`, which takes nothing until the peer's
certificate has been verified.
"""

import asyncio
import errno
import select
import socket

from micropython import const

from system.modules import later

_ONE_TURN = const((None,))


class Dialer:
    """Makes links.

    `context`: of `system.tls.make_context`. `resolver(host, port)` answers an address, or
    None: ask again later; it raises OSError. `timeout_ms` bounds name, TCP and TLS together.
    """

    def __init__(self, context, clock, resolver, timeout_ms=20_000, sockets=socket, polls=select):
        self.context = context
        self.clock = clock
        self.sockets = sockets
        self.polls = polls
        self.timeout_ms = timeout_ms
        self.resolver = resolver
        self.last_good = None  # (host, port), and the address that led to a verified peer
        self.new_opening = later(("system.opening",), "Opening", self)

    def dial(self, host, port):
        return Link(self, host, port)


class Link:
    """One connection, from its name look-up to its end. Raises OSError and nothing else."""

    def __init__(self, dialer, host, port):
        self.dialer = dialer
        self._peer = (host, port)
        self._began = dialer.clock.ticks_ms()
        self._opening = None  # until TLS has begun
        self._address = None
        self._socket = None
        self._tls = None
        self._is_verified = False
        self._is_closed = False
        self._readable = None

    def ready(self):
        """Go on with name, TCP and the begin of TLS; True when `write` may be called."""
        if self._tls is None:
            self._check()
            opening = self._opening
            if opening is None:
                opening = self._opening = self.dialer.new_opening(*self._peer)
            try:
                self._tls = opening.advance()
            finally:
                self._socket = opening.socket  # for `close`, whatever happened
            if self._tls is not None:
                self._address = opening.address
                self._opening = None
        return self._tls is not None

    def write(self, buffer, offset, size):
        """Bytes taken, 0 = none now; then the same bytes have to be offered again."""
        self._check()
        try:
            taken = self._tls.write(buffer, offset, size)
        except (ValueError, OSError) as error:
            taken = none_or_raise(error)
        if taken and not self._is_verified:
            self._is_verified = True
            self.dialer.last_good = (self._peer, self._address)
        return taken or 0

    def read_into(self, buffer, offset, size):
        """Bytes read, 0 = none now. Raises OSError at the end of the stream."""
        self._check()
        try:
            if offset:
                received = self._tls.readinto(memoryview(buffer)[offset : offset + size])
            else:
                received = self._tls.readinto(buffer, size)
        except (ValueError, OSError) as error:
            received = none_or_raise(error)
        if received == 0:
            raise OSError("closed by the peer")
        return received or 0

    def close(self):
        self._is_closed = True
        for stream in (self._tls, self._socket):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass  # it was broken already
        self._tls = self._socket = self._opening = self._readable = None

    def readable(self):
        """Awaitable, only once `ready()`: there is something to read, or an end to notice."""
        self._check()
        if self._readable is None:
            self._readable = _Readable(self._tls)
        return self._readable

    def _check(self):
        """Raise OSError when the link is closed, or not verified in time."""
        if self._is_closed:
            raise OSError("the link is closed")
        if self._is_verified:
            return
        clock = self.dialer.clock
        if clock.ticks_diff(clock.ticks_ms(), self._began) > self.dialer.timeout_ms:
            what = "TLS handshake" if self._tls else "connection" if self._socket else "address"
            raise OSError("no %s in time" % what)


class _Readable:
    """Waits in asyncio's own queue; one object a link, so that a wake-up costs asyncio's part."""

    def __init__(self, stream):
        self.stream = stream

    def __iter__(self):
        # One turn of waiting, then the end: by a native iterator, since raising costs more. Made
        # first: a task that ends for want of heap must not stand in the queue
        turn = iter(_ONE_TURN)
        asyncio.core._io_queue.queue_read(self.stream)
        return turn

    __await__ = __iter__


def none_or_raise(error):
    """None when nothing can be done now. A certificate that does not verify is a ValueError to
    MicroPython; mbedTLS's own errors are negative and get a text."""
    if isinstance(error, ValueError):
        raise OSError("TLS: " + str(error).strip())
    if error.errno == errno.EAGAIN:
        return None
    if error.errno is not None and error.errno < 0:
        raise OSError("TLS failed: %s" % (error.args[1] if error.args[1:] else error.errno))
    raise error
