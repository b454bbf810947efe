"""A hub that only acknowledges, so that it does not cap the device that is measured.

    python -m tests.bench.sink HOST CERTIFICATE-AND-KEY     prints the ports: TLS, plain

It takes every password, keeps nothing, and answers at once: CONNACK, SUBACK, PUBACK, PINGRESP, an
empty twin, 204 to reported patches. One thread a connection, as many answers in one write as
packets came in one read. Mosquitto in its place would leave the twin's read unanswered.
Source: OASIS MQTT 3.1.1.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.device import ROOT
from tests.unit.doubles import mqtt_bytes

# The largest packet that the device sends
LARGEST_BYTES = 64 * 1024
MQTT_PORT = 8883
_TWIN = b'{"desired":{"$version":1},"reported":{"$version":1}}'


def server_context(certificate_and_key: Path) -> ssl.SSLContext:
    """TLS 1.2, which is the newest that MicroPython has, for every device alike."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate_and_key)
    return context


class Sink:
    """`context` None: without TLS. `on_telemetry(n)` is called before the n-th of a connection is
    acknowledged."""

    def __init__(
        self,
        host: str,
        context: ssl.SSLContext | None,
        port: int = 0,
        on_telemetry: Callable[[int], None] = lambda number: None,
    ) -> None:
        self._context = context
        self._on_telemetry = on_telemetry
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Or accept() would wait on
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        """Until the device leaves, in whatever way."""
        with contextlib.suppress(OSError):
            if self._context is not None:
                stream = self._context.wrap_socket(stream, server_side=True)
            with stream:
                self._converse(stream)

    def _converse(self, stream: socket.socket) -> None:
        waiting, telemetry = b"", 0
        while data := stream.recv(LARGEST_BYTES):
            waiting += data
            answers, at = [], 0
            while (end := packet_end(waiting, at)) is not None:
                kind, body = waiting[at], waiting[end[0] : end[1]]
                at = end[1]
                if kind == 0xE0:
                    return
                if kind == 0x32 or (kind == 0x30 and body[2:10] == b"devices/"):
                    telemetry += 1
                    self._on_telemetry(telemetry)
                answers.append(answer(kind, body))
            waiting = waiting[at:]
            if any(answers):
                stream.sendall(b"".join(answers))


def packet_end(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins, and its end; None: it is not whole yet."""
    length = shift = 0
    for place in range(at + 1, min(at + 5, len(data))):
        length |= (data[place] & 127) << shift
        shift += 7
        if data[place] < 128:
            end = place + 1 + length
            return (place + 1, end) if end <= len(data) else None
    return None


def answer(kind: int, body: bytes) -> bytes:
    """To the packet of that first byte; b"" where none is due."""
    if kind == 0x10:
        return b"\x20\2\0\0"
    if kind == 0x82:
        return b"\x90" + bytes([2 + _filters(body)]) + body[:2] + b"\1" * _filters(body)
    if kind == 0xC0:
        return b"\xd0\0"
    if kind & 0xF0 != 0x30:
        return b""
    end = 2 + int.from_bytes(body[:2], "big")
    if kind & 0x06:
        return b"\x40\2" + body[end : end + 2]
    topic = body[2:end]
    if b"$rid=" not in topic:
        return b""
    status, content = (204, b"") if b"/PATCH/" in topic else (200, _TWIN)
    request_id = topic.rpartition(b"$rid=")[2].decode()
    return mqtt_bytes.publish(f"$iothub/twin/res/{status}/?$rid={request_id}&$version=1", content)


def _filters(body: bytes) -> int:
    count, at = 0, 2
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        count += 1
    return count


@contextlib.contextmanager
def sink_process(host: str, certificate_and_key: Path) -> Iterator[tuple[int, int]]:
    """A sink in a process of its own, so that the device has a core to itself: its ports, of
    which the first, with TLS, is the one that no SDK can change."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.sink", host, str(certificate_and_key)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        secure, plain = process.stdout.readline().split()
        yield int(secure), int(plain)
    finally:
        # The end of its input is the end of it
        process.communicate()


def main() -> None:
    host, certificate_and_key = sys.argv[1:]
    secure = Sink(host, server_context(Path(certificate_and_key)), MQTT_PORT)
    plain = Sink(host, None)
    print(secure.port, plain.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
