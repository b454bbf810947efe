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

_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
# "In progress", "already" and "is connected" by their several numbers: Linux and MicroPython's
# own, newlib's (ESP32). Source: errno.h of both.
_IN_PROGRESS = const((115, 114, 119, 120, 11, 112))
_IS_CONNECTED = const((106, 127))
_ONE_TURN = const((None,))
_TROUBLE = select.POLLERR | select.POLLHUP


def resolve_at_once(host, port):
    """An IPv4 address by the system's resolver, which may block: for PCs."""
    return socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]


class Dialer:
    """Makes links.

    `context`: of `system.tls.make_context`. `resolver(host, port)` answers an address, or
    None: ask again later; it raises OSError. `timeout_ms` bounds name, TCP and TLS together.
    """

    def __init__(
        self, context, clock, resolver=resolve_at_once, timeout_ms=20_000, sockets=socket
    ):
        self.context = context
        self.clock = clock
        self.sockets = sockets
        self.timeout_ms = timeout_ms
        self._resolver = resolver
        self._last_good = {}  # host and port: address that led to a verified peer

    def dial(self, host, port):
        return Link(self, host, port)

    def resolve(self, host, port):
        """Name look-up is tried anew for each link; the last good address is a fallback only."""
        try:
            return self._resolver(host, port)
        except OSError as error:
            if (host, port) not in self._last_good:
                raise OSError("no address: %s; check HostName and network" % error)
            return self._last_good[host, port]

    def remember(self, host, port, address):
        self._last_good.clear()
        self._last_good[host, port] = address


class Link:
    """One connection, from its name look-up to its end. Raises OSError and nothing else."""

    def __init__(self, dialer, host, port):
        self._dialer = dialer
        self._host = host
        self._port = port
        self._began = dialer.clock.ticks_ms()
        self._address = None
        self._socket = None
        self._tls = None
        self._poll = None
        self._is_verified = False
        self._is_closed = False
        self._readable = None

    def ready(self):
        """Go on with name, TCP and the begin of TLS; True when `write` may be called."""
        if self._tls is None:
            self._refuse_closed()
            self._check_time()
            if self._is_connected():
                self._start_tls()
        return self._tls is not None

    def write(self, buffer, offset, size):
        """Bytes taken, 0 = none now; then the same bytes have to be offered again."""
        self._refuse_closed()
        try:
            taken = self._tls.write(buffer, offset, size)
        except ValueError as error:
            raise OSError(_refusal(error))
        except OSError as error:
            taken = _none_or_raise(error)
        if not self._is_verified:
            if taken:
                self._is_verified = True
                self._dialer.remember(self._host, self._port, self._address)
            else:
                self._check_time()
        return taken or 0

    def read_into(self, buffer, offset, size):
        """Bytes read, 0 = none now. Raises OSError at the end of the stream."""
        self._refuse_closed()
        try:
            if offset:
                received = self._tls.readinto(memoryview(buffer)[offset : offset + size])
            else:
                received = self._tls.readinto(buffer, size)
        except ValueError as error:
            raise OSError(_refusal(error))
        except OSError as error:
            received = _none_or_raise(error)
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
        self._tls = self._socket = self._poll = self._readable = None

    def readable(self):
        """Awaitable, only once `ready()`: there is something to read, or an end to notice."""
        self._refuse_closed()
        if self._readable is None:
            self._readable = _Readable(self._tls)
        return self._readable

    def _refuse_closed(self):
        if self._is_closed:
            raise OSError("the link is closed")

    def _check_time(self):
        clock = self._dialer.clock
        if clock.ticks_diff(clock.ticks_ms(), self._began) > self._dialer.timeout_ms:
            what = "TLS handshake" if self._tls else "connection" if self._socket else "address"
            raise OSError("no %s in time" % what)

    def _is_connected(self):
        if self._socket is None:
            self._address = self._dialer.resolve(self._host, self._port)
            if self._address is None:
                return False
            self._start_tcp()
        for _, events in self._poll.poll(0):
            if events & _TROUBLE:
                self._raise_reason()
            if events & select.POLLOUT:
                return True
        return False

    def _start_tcp(self):
        self._socket = self._dialer.sockets.socket()
        self._socket.setblocking(False)
        try:
            self._socket.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except OSError:
            pass  # a port without it: packets go out 40 ms later, no harm
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLOUT)
        try:
            self._socket.connect(self._address)
        except OSError as error:
            if error.errno not in _IN_PROGRESS:
                raise

    def _raise_reason(self):
        """MicroPython has no SO_ERROR: a second connect() tells why the first failed."""
        try:
            self._socket.connect(self._address)
        except OSError as error:
            if error.errno not in _IN_PROGRESS + _IS_CONNECTED:
                raise
        raise OSError(errno.ECONNREFUSED)

    def _start_tls(self):
        self._poll = None
        try:
            self._tls = self._dialer.context.wrap_socket(
                self._socket, server_hostname=self._host, do_handshake_on_connect=False
            )
        except ValueError as error:
            raise OSError(_refusal(error))


class _Readable:
    """Waits in asyncio's own queue; one object a link, so that a wake-up costs asyncio's part."""

    def __init__(self, stream):
        self._stream = stream

    def __iter__(self):
        asyncio.core._io_queue.queue_read(self._stream)
        # One turn of waiting, then the end: by a native iterator, since raising costs more
        return iter(_ONE_TURN)

    __await__ = __iter__


def _refusal(error):
    """A certificate that does not verify is a ValueError to MicroPython."""
    return "TLS: " + str(error).strip()


def _none_or_raise(error):
    """None when nothing can be done now; mbedTLS's own errors are negative and get a text."""
    if error.errno == errno.EAGAIN:
        return None
    if error.errno is not None and error.errno < 0:
        raise OSError("TLS failed: %s" % (error.args[1] if error.args[1:] else error.errno))
    raise error
