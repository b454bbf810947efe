"""A UDP peer on loopback, in the test's own hands: nothing is answered by itself."""

import os
import select
import socket


def _bound():
    """A socket and its port. MicroPython has no getsockname: ports are tried."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(100):
        port = 20000 + int.from_bytes(os.urandom(2), "little") % 20000
        try:
            bound.bind(address_of(port))
            return bound, port
        except OSError:
            pass  # somebody has this one
    raise AssertionError("no port is free")


def address_of(port):
    return socket.getaddrinfo("127.0.0.1", port, socket.AF_INET, socket.SOCK_DGRAM)[0][-1]


class Peer:
    def __init__(self):
        self.socket, self.port = _bound()
        self.text = "127.0.0.1:%d" % self.port
        self.client = None

    def waiting(self, within_ms=0):
        """Whether a packet has come, or comes in time."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(within_ms))

    def take(self):
        """The next packet, which has to be there by now or at once."""
        assert self.waiting(1000), "nothing came"
        packet, self.client = self.socket.recvfrom(2048)
        return packet

    def send(self, packet):
        """To the one whose packet was taken last."""
        self.socket.sendto(packet, self.client)

    def send_from_elsewhere(self, packet):
        other = _bound()[0]
        other.sendto(packet, self.client)
        other.close()

    def close(self):
        self.socket.close()
