"""A whole session of the unix port over real TLS, its connections killed at random."""

import os
import random
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from certificates_for_tests import Authority
from doubles.hub_script import FakeHub
from meanwhile import Meanwhile

from host_tools.simulated_device import interpreter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

MICROPYTHON = str(interpreter())


class Wire:
    """What the scripted hub takes for a link: a TLS connection."""

    def __init__(self, connection):
        self.connection = connection

    def feed(self, data):
        self.connection.sendall(data)

    def end(self):
        self.connection.close()


class Server:
    """The scripted hub behind TLS. `kill_after(n)` bytes a connection is reset.

    `client_root`: the authority in whose name every client has to show a certificate.
    """

    def __init__(self, pem, kill_after, client_root=None):
        self.hub = FakeHub()
        self.connections = 0
        self._kill_after = kill_after
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self.clients = []  # common names of those who showed a certificate
        if client_root is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(cadata=client_root.read_bytes())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._talk(self._context.wrap_socket(connection, server_side=True))
            except OSError:
                pass

    def _talk(self, connection):
        wire, left = Wire(connection), self._kill_after(self.connections)
        for part in (connection.getpeercert() or {}).get("subject", ()):
            self.clients.append(dict(part)["commonName"])
        while data := connection.recv(4096):
            if left is not None and len(data) >= left:
                self.hub.on_bytes(wire, data[:left])
                # A reset, not a farewell
                linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.close()
                return
            if left is not None:
                left -= len(data)
            self.hub.on_bytes(wire, data)

    def close(self):
        """Once everything that the client has sent is read."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._listener.close()
        assert not self._thread.is_alive()


class Machine(Meanwhile):
    """How late the machine itself wakes a thread that asks for it every 20 ms, at worst.

    A machine that has other work lets the one wait longest who has much to do: the session, with
    its cryptography, several times as long as this thread.
    """

    PATIENCE = 5

    def __init__(self):
        super().__init__()
        self.late_ms = 0

    def watch(self):
        due = time.monotonic() + 0.02
        while not self.is_over.wait(max(0, due - time.monotonic())):
            self.late_ms = max(self.late_ms, round((time.monotonic() - due) * 1000))
            due = time.monotonic() + 0.02


def run(port, root, count, telemetry_bytes=8192, heap="256k"):
    folders = [ROOT / "firmware", ROOT / "tests" / "unit", ROOT / "build" / "lib", ".frozen"]
    script = [str(HERE / "session_run.py"), "localhost", *map(str, (port, root, count))]
    done = subprocess.run(
        [MICROPYTHON, "-X", f"heapsize={heap}", *script, str(telemetry_bytes)],
        env={**os.environ, "MICROPYPATH": ":".join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", done.stdout)}


def test_a_session_over_tls_keeps_every_message(tmp_path):
    authority = Authority("Root of this test")
    root = authority.write_root(tmp_path / "root.der")
    server = Server(authority.write_server(tmp_path / "server.pem"), lambda number: None)
    with Machine() as machine:
        result = run(server.port, root, 200)
    server.close()
    assert (result["sent"], result["acked"], result["dropped"]) == (200, 200, 0)
    assert server.hub.bodies() == [b"%d" % i for i in range(200)]
    assert server.hub.parted == 1
    assert result["late"] <= 100 + machine.PATIENCE * machine.late_ms


def test_a_session_that_is_killed_again_and_again_loses_nothing(tmp_path):
    authority = Authority("Root of this test")
    root = authority.write_root(tmp_path / "root.der")
    chance = random.Random(11)
    server = Server(
        authority.write_server(tmp_path / "server.pem"),
        lambda number: chance.randrange(1, 4000) if number <= 12 else None,
    )
    # Room for all: what is dropped for want of it is counted, but that is another test
    with Machine() as machine:
        result = run(server.port, root, 300, 60_000, "1m")
    server.close()
    assert (result["sent"], result["acked"], result["dropped"]) == (300, 300, 0)
    assert server.connections >= 13
    assert set(server.hub.bodies()) == {b"%d" % i for i in range(300)}
    seen = {}
    for arrived in server.hub.telemetry:
        if arrived.body in seen:
            assert arrived.dup
            assert arrived.packet_id == seen[arrived.body]
        seen[arrived.body] = arrived.packet_id
    assert result["late"] <= 500 + machine.PATIENCE * machine.late_ms
