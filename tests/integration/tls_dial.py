"""Runs on MicroPython: dial HOST PORT with the root certificate in FILE, say a word, hear it.

Prints `connected` and the echo, or `refused` and the text of the OSError. Any other exception
ends the interpreter, which the test sees.
"""

import socket
import sys
import time

from system.clock import Clock
from system.dialer import Dialer
from system.tls import make_context

_WORD = b"CONNECT"


def talk(link, limit_ms):
    began = time.ticks_ms()
    heard = bytearray(len(_WORD))
    sent = received = 0
    longest_ms = 0
    while received < len(_WORD):
        assert time.ticks_diff(time.ticks_ms(), began) < limit_ms, "nothing happens"
        before = time.ticks_ms()
        if link.ready():
            if sent < len(_WORD):
                sent += link.write(_WORD, sent, len(_WORD) - sent)
            else:
                received += link.read_into(heard, received, len(_WORD) - received)
        longest_ms = max(longest_ms, time.ticks_diff(time.ticks_ms(), before))
        time.sleep_ms(2)
    return heard.decode(), longest_ms


def resolver(host, port):
    return socket.getaddrinfo(host, port)[0][-1]


host, port, path, timeout_ms = sys.argv[1:5]
with open(path, "rb") as file:
    roots = [file.read()]
dialer = Dialer(make_context(roots), Clock(), resolver, int(timeout_ms))
link = dialer.dial(host, int(port))
try:
    heard, longest_ms = talk(link, 20_000)
    print("connected", heard)
    print("longest call", longest_ms, "ms")
except OSError as error:
    print("refused", error)
finally:
    link.close()
    link.close()
