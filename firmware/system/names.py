"""Name look-up that never waits: one question by UDP, asked again until it is answered.

For boards, where `getaddrinfo` blocks (on RP2 without limit while there is no address). IPv4
only. Nothing is kept from one question to the next: the dialer knows the last good address.

What a hostile peer can do is bounded: a packet counts only if it comes from a server that was
asked, and echoes our random number and our question. Names in it are skipped, never followed,
so that no compression pointer leads anywhere.

Source: RFC 1035 §4.1 (messages), §2.3.4 (limits), RFC 5452 §9 (what to check).
"""

import select
import socket
import struct
import time

from micropython import const

# A try for each of two servers, and again: seven seconds, of the 30 that a dialer has
_WAITS_MS = const((1000, 1000, 2000, 3000))
_GIVE_UP_MS = const(8000)
_PORT = const(53)
_LARGEST = const(512)  # RFC 1035 §2.3.4
_MOST_PACKETS = const(4)  # looked at in one call: a flood must not hold the others up
_HEADER = const(12)
_RECURSION_DESIRED = const(0x0100)
_IPV4_IN = const(b"\x00\x01\x00\x01")  # type A, class IN
_NO_SUCH_NAME = const(3)


class Resolver:
    """`servers()` answers the name servers' addresses, as "192.168.1.1" or "127.0.0.1:5300"; the
    first two are used. `random_below(n)` from a cryptographic source. `clock` has ticks."""

    def __init__(self, servers, random_below, clock=time):
        self._servers = servers
        self._random_below = random_below
        self._clock = clock
        self._host = None  # which is being asked for
        self._query = b""
        self._socket = None
        self._asked = []
        self._began = self._due = 0

    def resolve(self, host, port):
        """What `socket.connect` takes, or None: ask again, at least every second.

        One name at a time: who asks for another meanwhile gets None until that one is done.
        Raises OSError: there is no such name, or no server answers.
        """
        if host == "localhost":
            host = "127.0.0.1"
        if not _is_address(host):
            host = self._look_up(host)
        return host and _socket_address(host, port)

    def is_asking(self):
        """Whether a name has been asked for, and no answer has come yet."""
        return self._host is not None

    def _look_up(self, host):
        now = self._clock.ticks_ms()
        if self._host is not None and self._since(self._began, now) > _GIVE_UP_MS:
            self._end()  # who asked has gone
        if self._host is None:
            self._begin(host, now)
        if host != self._host:
            return None
        try:
            found = self._receive()
            if found == "":
                raise OSError("there is no such name: " + host)
            if found is None and self._since(self._due, now) >= 0:
                self._send(now)
        except OSError:
            self._end()
            raise
        if found is not None:
            self._end()
        return found

    def _since(self, ticks, now):
        return self._clock.ticks_diff(now, ticks)

    def _begin(self, host, now):
        self._query = build_query(host, self._random_below(0x10000))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._host = host
        self._began = self._due = now

    def _end(self):
        self._socket.close()
        self._socket = self._host = None
        self._asked = []

    def _send(self, now):
        tries = len(self._asked)
        servers = self._servers()[:2]
        if tries == len(_WAITS_MS) or not servers:
            raise OSError("no name server answers" if servers else "no name server is known")
        host, _, port = servers[tries % len(servers)].partition(":")
        address = _socket_address(host, int(port or _PORT))
        self._asked.append(address)
        self._due = self._clock.ticks_add(now, _WAITS_MS[tries])
        try:
            self._socket.sendto(self._query, address)
        except OSError:
            pass  # no way to this one, or not yet: as if the packet were lost

    def _receive(self):
        """As `parse_answer`."""
        readable = select.poll()
        readable.register(self._socket, select.POLLIN)
        for _ in range(_MOST_PACKETS):
            if not readable.poll(0):
                break
            try:
                packet, source = self._socket.recvfrom(_LARGEST)
            except OSError:
                continue  # an earlier packet of ours was refused, or the check sum was wrong
            found = parse_answer(packet, self._query) if source in self._asked else None
            if found is not None:
                return found
        return None


def build_query(host, number):
    """The question for the IPv4 address of `host`. Raises OSError: it cannot be a name."""
    name = b""
    for label in host.lower().encode().split(b"."):
        if not 1 <= len(label) <= 63:
            name += bytes(256)
        name += bytes([len(label)]) + label
    if len(name) > 254:
        raise OSError("this cannot be a name: " + host)
    return struct.pack(">6H", number, _RECURSION_DESIRED, 1, 0, 0, 0) + name + b"\0" + _IPV4_IN


def parse_answer(packet, query):
    """The address in `packet`, as text; "": there is none; None: this does not answer `query`.

    The first address counts, whatever aliases (CNAME) lead to it: it is the server that says so
    anyway. One that no peer can have (0.x, multicast) is none.
    """
    end = len(query)
    if packet[:2] != query[:2] or packet[4:6] != query[4:6]:
        return None
    if packet[_HEADER:end] != query[_HEADER:] or packet[2] & 0xF8 != 0x80:
        return None
    code = packet[3] & 0x0F
    if code:
        return "" if code == _NO_SUCH_NAME else None
    at = end
    for _ in range(packet[6] << 8 | packet[7]):
        at = _after_name(packet, at)
        data = at + 10  # behind type, class, time to live, length
        if data > len(packet):
            return None
        end = data + (packet[data - 2] << 8 | packet[data - 1])
        if end > len(packet):
            return None
        if packet[at : at + 4] == _IPV4_IN and end == data + 4:
            return "%d.%d.%d.%d" % tuple(packet[data:end]) if 0 < packet[data] < 224 else ""
        at = end
    return None if packet[2] & 0x02 else ""  # cut short: the address may have been behind


def _after_name(packet, at):
    while at < len(packet):
        length = packet[at]
        if length > 63:
            return at + 2  # a pointer, which ends a name
        at += 1 + length
        if not length:
            break
    return at


def _is_address(host):
    parts = host.encode().split(b".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _socket_address(host, port):
    """Of a literal address, which `getaddrinfo` turns into the port's own form at once."""
    # RP2 warns on the console of any other type; the address is the same
    return socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]
