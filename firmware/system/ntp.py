"""Sets the board's clock by a time server (SNTP), once the network is up.

Right to a second or two, which is what tokens and certificates ask for. Nobody signs these
answers: one counts only if it comes from the server that was asked, echoes our 58 random bits,
is no refusal and is a date that can be.

Source: RFC 4330 §4 (packet), §5 (what a client checks), §3 (the era that begins in 2036), §8
(kiss of death), §10 (how often).
"""

import socket
import struct

from micropython import const

from system.clock import is_plausible

# Public, and open to every client. pool.ntp.org asks vendors to have a zone of their own there
SERVERS = const(("time.windows.com", "time.cloudflare.com", "time.google.com"))
_PORT = const(123)
_PACKET_BYTES = const(48)
_MOST_PACKETS = const(4)  # looked at in one call
_ANSWER_S = const(3)
_FIRST_PAUSE_S = const(5)
_LONGEST_PAUSE_S = const(320)

_REQUEST = const(0x23)  # version 4, mode 3: client
_ANSWER = const(0x24)  # version 4, mode 4: server; with no leap second, or one to come
_NOT_SET = const(0xC0)
# Seconds from 1900 to 1970, and from 1970 to 2036-02-07, where the seconds begin anew
_EPOCH_1970_S = const(2208988800)
_EPOCH_2036_S = const(2085978496)
_SECOND_HALF = const(0x80000000)


class Timekeeper:
    """`servers`: "host" or "host:port" each, or None for the usual. `board`: network_up,
    random_below, resolver, set_time. A server that does not serve is asked again when all others
    have been."""

    def __init__(self, servers, board, clock, log):
        self._servers = servers or SERVERS
        self._board = board
        self._clock = clock
        self._log = log
        self._at = 0
        self._due_s = 0
        self._pause_s = _FIRST_PAUSE_S
        self._socket = None
        self._address = None
        self._request = bytearray(_PACKET_BYTES)

    def poll(self):
        """Do what can be done at once; to be called about every second, until it answers True:
        the clock is set. Raises nothing."""
        now_s = self._clock.uptime_s()
        if now_s < self._due_s or not self._board.network_up():
            return False
        server = self._servers[self._at % len(self._servers)]
        try:
            unix_s = self._ask(server, now_s)
        except OSError as error:
            self._log.warning("no time from %s: %s", server, error)
            self._at += 1
            self._end(now_s + self._pause_s)
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            return False
        if unix_s:
            self._board.set_time(unix_s)
            self._log.info("the clock is set by %s", server)
            self._end(now_s)
        return bool(unix_s)

    def _end(self, due_s):
        self._due_s = due_s
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, server, now_s):
        """Unix time, or None: not yet. Raises OSError."""
        if self._socket is None:
            host, _, port = server.partition(":")
            self._address = self._board.resolver(host, int(port or _PORT))
            if self._address is None:
                return None
            self._send()
            self._due_s = now_s
        unix_s = self._receive()
        if unix_s is None and now_s - self._due_s >= _ANSWER_S:
            raise OSError("no answer")
        return unix_s

    def _send(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        random = self._board.random_below
        self._request[0] = _REQUEST
        struct.pack_into(">II", self._request, 40, random(1 << 29), random(1 << 29))
        self._socket.sendto(self._request, self._address)

    def _receive(self):
        for _ in range(_MOST_PACKETS):
            try:
                packet, source = self._socket.recvfrom(_PACKET_BYTES)
            except OSError:
                break  # nothing has come
            if (
                source == self._address
                and len(packet) == _PACKET_BYTES
                and packet[24:32] == self._request[40:]
            ):
                return parse_answer(packet)
        return None


def parse_answer(packet):
    """The Unix time that the 48 bytes tell. Raises OSError: they tell none."""
    if packet[0] & _NOT_SET == _NOT_SET:
        raise OSError("its own clock is not set")
    if packet[0] & 0x3F != _ANSWER or not 1 <= packet[1] <= 15:
        raise OSError("it refuses")
    seconds = struct.unpack_from(">I", packet, 40)[0]
    unix_s = seconds + (-_EPOCH_1970_S if seconds & _SECOND_HALF else _EPOCH_2036_S)
    if not is_plausible(unix_s):
        raise OSError("its date cannot be")
    return unix_s
