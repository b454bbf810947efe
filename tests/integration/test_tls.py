"""Real TLS between the unix port and a server: the good one is talked to, the others are not."""

import os
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from certificates_for_tests import DAY, NOW, Authority, write_self_signed

from host_tools.simulated_device import interpreter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

MICROPYTHON = str(interpreter())


class Server:
    """Echoes over TLS; `heard` holds every byte that came through any handshake."""

    def __init__(self, pem, silent=False):
        self.heard = b""
        self.connections = 0
        self._silent = silent
        if not silent:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._kept = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._silent:
                self._kept.append(connection)
                continue
            try:
                self._echo(self._context.wrap_socket(connection, server_side=True))
            except OSError:
                pass

    def _echo(self, connection):
        with connection:
            while data := connection.recv(1024):
                self.heard += data
                connection.sendall(data)

    def close(self):
        self._listener.close()
        for connection in self._kept:
            connection.close()


@pytest.fixture(scope="module")
def authority():
    return Authority("Root of this test")


@pytest.fixture(scope="module")
def root(authority, tmp_path_factory):
    return authority.write_root(tmp_path_factory.mktemp("root") / "root.der")


def dial(root, port, host="localhost", timeout_ms=5000):
    environment = {**os.environ, "MICROPYPATH": "%s:.frozen" % (ROOT / "firmware")}
    script = [str(HERE / "tls_dial.py"), host, str(port), str(root), str(timeout_ms)]
    done = subprocess.run(
        [MICROPYTHON, *script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def serve():
    servers = []

    def start(pem, **options):
        servers.append(Server(pem, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_good_certificate_connects(authority, root, serve, tmp_path):
    server = serve(authority.write_server(tmp_path / "good.pem"))
    said = dial(root, server.port)
    assert "connected CONNECT" in said
    assert server.heard == b"CONNECT"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("expired", "expired"),
        ("not yet valid", "future"),
        ("wrong name", "Common Name"),
        ("self-signed", "not correctly signed"),
        ("other authority", "not correctly signed"),
    ],
)
def test_any_other_certificate_is_refused_before_a_byte(
    authority, root, serve, tmp_path, fault, reason
):
    pem = tmp_path / "server.pem"
    if fault == "expired":
        authority.write_server(pem, begin=NOW - 2 * DAY, end=NOW - DAY)
    elif fault == "not yet valid":
        authority.write_server(pem, begin=NOW + DAY, end=NOW + 2 * DAY)
    elif fault == "wrong name":
        authority.write_server(pem, dns="other.example.net")
    elif fault == "self-signed":
        write_self_signed(pem)
    else:
        Authority("Another root").write_server(pem)
    server = serve(pem)
    said = dial(root, server.port)
    assert said.startswith("refused TLS: "), said
    assert reason in said
    assert server.connections == 1
    assert server.heard == b""


def test_a_closed_port_is_told_at_once(root):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused [Errno 111] ECONNREFUSED" in dial(root, port)


def test_an_unknown_name_is_an_oserror(root):
    assert dial(root, 8883, host="no-such-host.invalid").startswith("refused ")


def test_a_silent_peer_is_given_up_in_time(root, serve):
    server = serve(None, silent=True)
    began = time.monotonic()
    assert "refused no TLS handshake in time" in dial(root, server.port, timeout_ms=1000)
    assert time.monotonic() - began < 5


def test_a_peer_that_speaks_no_tls_is_an_oserror(root):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        said = dial(root, listener.getsockname()[1])
    assert said.startswith("refused ")
