"""The first half of a link: name, TCP, and the begin of TLS. In the heap only for that."""

import errno

from micropython import const

from system.dialer import none_or_raise

_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
# "In progress", "already" and "is connected" by their several numbers: Linux and MicroPython's
# own, newlib's (ESP32). Source: errno.h of both.
_IN_PROGRESS = const((115, 114, 119, 120, 11, 112))
_IS_CONNECTED = const((106, 127))


class Opening:
    """Of a link of `dialer` to `host` and `port`. Raises OSError and nothing else.

    `socket` is whoever uses this to close; `address` is where it leads.
    """

    def __init__(self, dialer, host, port):
        self.dialer = dialer
        self.address = None
        self.socket = None
        self._peer = (host, port)
        self._poll = None

    def advance(self):
        """Do what can be done at once; the TLS stream when it has begun, until then None."""
        if self.socket is None:
            self._resolve()
        if self.socket is not None and self._is_connected():
            return self._begin_tls()
        return None

    def _resolve(self):
        """The name is looked up anew for each link; the last good address is a fallback only."""
        try:
            self.address = self.dialer.resolver(*self._peer)
        except OSError as error:
            peer, self.address = self.dialer.last_good or (None, None)
            if peer != self._peer:
                raise OSError("no address: %s; check HostName and network" % error)
        if self.address is not None:
            self._begin_tcp()

    def _begin_tcp(self):
        self.socket = self.dialer.sockets.socket()
        self.socket.setblocking(False)
        try:
            self.socket.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except OSError:
            pass  # a port without it: packets go out 40 ms later, no harm
        polls = self.dialer.polls
        self._poll = polls.poll()
        self._poll.register(self.socket, polls.POLLOUT)
        self._connect(_IN_PROGRESS)

    def _connect(self, harmless):
        try:
            self.socket.connect(self.address)
        except OSError as error:
            if error.errno not in harmless:
                raise

    def _is_connected(self):
        polls = self.dialer.polls
        for _, events in self._poll.poll(0):
            if events & (polls.POLLERR | polls.POLLHUP):
                # MicroPython has no SO_ERROR: a second connect() tells why the first failed
                self._connect(_IN_PROGRESS + _IS_CONNECTED)
                raise OSError(errno.ECONNREFUSED)
            if events & polls.POLLOUT:
                return True
        return False

    def _begin_tls(self):
        try:
            return self.dialer.context.wrap_socket(
                self.socket, server_hostname=self._peer[0], do_handshake_on_connect=False
            )
        except ValueError as error:
            return none_or_raise(error)
