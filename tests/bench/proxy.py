"""What passes between a device and its hub, counted as it goes through: TLS records, bytes, turns.

Nothing is decrypted. `delay_s` holds back each byte on its way, for either direction alike.
Source: RFC 5246, section 6.2.1 (record header).
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from dataclasses import dataclass, field

_HEADER_BYTES = 5
APPLICATION_DATA = 23


@dataclass
class Way:
    """One direction: how many TLS records of application data, and all their bytes."""

    records: int = 0
    record_bytes: int = 0
    bytes: int = 0
    _head: bytes = b""
    _rest: int = 0

    def count(self, data: bytes) -> None:
        self.bytes += len(data)
        at = 0
        while at < len(data):
            if self._rest:
                step = min(self._rest, len(data) - at)
                self._rest -= step
            else:
                step = min(_HEADER_BYTES - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                self._begin()
            at += step

    def _begin(self) -> None:
        """A record, once its header is here."""
        if len(self._head) < _HEADER_BYTES:
            return
        self._rest = int.from_bytes(self._head[3:], "big")
        if self._head[0] == APPLICATION_DATA:
            self.records += 1
            self.record_bytes += _HEADER_BYTES + self._rest
        self._head = b""


@dataclass
class Passage:
    """One connection. `turns`: when, by time.monotonic(), the device began to speak again."""

    began: float
    up: Way = field(default_factory=Way)
    down: Way = field(default_factory=Way)
    turns: list[float] = field(default_factory=list)
    is_up: bool = False


class Proxy:
    """Listens on `host`, leads to `target`; `passages` in the order of their coming."""

    def __init__(
        self, host: str, target: tuple[str, int], delay_s: float = 0.0, port: int = 0
    ) -> None:
        self.passages: list[Passage] = []
        self._target = target
        self._delay_s = delay_s
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                device, _ = self._listener.accept()
                hub = socket.create_connection(self._target)
                passage = Passage(time.monotonic())
                self.passages.append(passage)
                self._carry(device, hub, passage, True)
                self._carry(hub, device, passage, False)

    def _carry(
        self, source: socket.socket, target: socket.socket, passage: Passage, is_up: bool
    ) -> None:
        """By two threads: one reads and notes when, the other writes when it is time."""
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
        way = passage.up if is_up else passage.down

        def read() -> None:
            data = b"-"
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                now = time.monotonic()
                if is_up and data and not passage.is_up:
                    passage.turns.append(now)
                if data:
                    passage.is_up = is_up
                way.count(data)
                waiting.put((now + self._delay_s, data))

        def write() -> None:
            with contextlib.suppress(OSError):
                while True:
                    due, data = waiting.get()
                    time.sleep(max(0.0, due - time.monotonic()))
                    if not data:
                        target.shutdown(socket.SHUT_WR)
                        return
                    target.sendall(data)

        threading.Thread(target=read, daemon=True).start()
        threading.Thread(target=write, daemon=True).start()
