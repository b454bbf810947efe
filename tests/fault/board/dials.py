"""Runs on MicroPython: dials.py PORT ROOT-FILE TIMES. Offers a CONNECT as soon as it may."""

import json
import socket
import sys
import time

from system.clock import Clock
from system.dialer import Dialer
from system.tls import make_context

_CONNECT = b"\x10\x10CONNECT of a test"


def resolver(host, port):
    return socket.getaddrinfo(host, port)[0][-1]


def dial(dialer, port):
    """Bytes that the link took, and why it took no more."""
    link = dialer.dial("localhost", port)
    taken = 0
    try:
        while taken < len(_CONNECT):
            if link.ready():
                taken += link.write(_CONNECT, taken, len(_CONNECT) - taken)
            time.sleep_ms(1)
        return taken, ""
    except OSError as error:
        return taken, str(error)
    finally:
        link.close()


port, path, times = sys.argv[1:]
with open(path, "rb") as file:
    dialer = Dialer(make_context([file.read()]), Clock(), resolver, 5000)
taken = refused = other = 0
reasons = {}
for _ in range(int(times)):
    try:
        size, reason = dial(dialer, int(port))
    except Exception as error:  # noqa: BLE001 - whatever else comes out is what is counted
        other += 1
        size, reason = 0, str(type(error))
    taken += size
    refused += reason.startswith("TLS")
    reasons[reason] = reasons.get(reason, 0) + 1
found = {"taken": taken, "refused": refused, "other": other, "reasons": reasons}
print("result " + json.dumps(found))
