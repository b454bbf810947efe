"""Certificates of a workspace: made once, kept while good, safe from others, and verifiable."""

import contextlib
import datetime
import os
import socket
import ssl
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import certifi
import pytest

from host_tools.hub import certificates
from host_tools.hub.authority import make_authority, names_of
from host_tools.hub.certificates import WorkspaceError, prepare
from host_tools.hub.tls import server_context
from host_tools.simulated_device import interpreter

NAMES = ("localhost", "127.0.0.1", "127.0.0.7", "hub.example")
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
MICROPYTHON = interpreter()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One workspace for the tests that only read it: keys take time to make."""
    return prepare(tmp_path_factory.mktemp("w") / "workspace", NAMES)


def contents(found):
    return {path.name: path.read_bytes() for path in found.workspace.iterdir()}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_their_owners_alone(made):
    assert mode(made.workspace) == 0o700
    assert sorted(contents(made)) == [
        "authority.pem",
        "ca-bundle.pem",
        "ca.der",
        "ca.pem",
        "server.pem",
    ]
    assert {mode(path) for path in made.workspace.iterdir()} == {0o600}


def test_what_clients_get_holds_no_key(made):
    for path in (made.ca_pem, made.ca_bundle, made.ca_der):
        assert b"PRIVATE" not in path.read_bytes()
    assert made.ca_bundle.read_bytes().startswith(Path(certifi.where()).read_bytes())
    assert made.ca_bundle.read_bytes().endswith(made.ca_pem.read_bytes())
    assert ssl.PEM_cert_to_DER_cert(made.ca_pem.read_text()) == made.ca_der.read_bytes()


def test_a_key_is_in_no_repr(made):
    identity = certificates._load(made.authority)
    assert identity is not None
    assert "key" not in repr(identity)
    assert names_of(certificates._load(made.server).certificate) == set(NAMES)


def test_kept_while_valid_and_covering(tmp_path):
    first = contents(prepare(tmp_path / "w", NAMES, NOW))
    assert contents(prepare(tmp_path / "w", NAMES[:2], NOW)) == first
    later = NOW + datetime.timedelta(days=366)
    assert contents(prepare(tmp_path / "w", NAMES, later)) == first


def test_renewed_for_a_new_name_by_the_same_authority(tmp_path):
    first = contents(prepare(tmp_path / "w", NAMES, NOW))
    found = prepare(tmp_path / "w", ["localhost", "127.0.0.9"], NOW)
    second = contents(found)
    assert second["server.pem"] != first["server.pem"]
    assert second["authority.pem"] == first["authority.pem"]
    assert names_of(certificates._load(found.server).certificate) == {"localhost", "127.0.0.9"}


def test_renewed_a_month_before_the_end(tmp_path):
    first = contents(prepare(tmp_path / "w", NAMES, NOW))
    second = contents(prepare(tmp_path / "w", NAMES, NOW + datetime.timedelta(days=368)))
    assert second["server.pem"] != first["server.pem"]
    assert second["ca.pem"] == first["ca.pem"]
    third = contents(prepare(tmp_path / "w", NAMES, NOW + datetime.timedelta(days=3621)))
    assert third["ca.pem"] != first["ca.pem"]


@pytest.mark.parametrize("damage", ["cut", "readable", "other key"])
def test_an_authority_that_cannot_be_trusted_any_more_is_made_anew(tmp_path, damage):
    found = prepare(tmp_path / "w", NAMES, NOW)
    first = contents(found)
    if damage == "cut":
        found.authority.write_bytes(first["authority.pem"][:-100])
    elif damage == "readable":
        found.authority.chmod(0o644)
    else:
        other = make_authority(NOW).to_pem()
        certificate = first["authority.pem"].partition(b"-----BEGIN PRIVATE")[0]
        found.authority.write_bytes(certificate + other[other.index(b"-----BEGIN PRIVATE") :])
    second = contents(prepare(tmp_path / "w", NAMES, NOW))
    assert second["ca.pem"] != first["ca.pem"]
    assert mode(found.authority) == 0o600
    check_handshake(found, "localhost")


@pytest.mark.parametrize("bits", [0o720, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_refused(tmp_path, bits):
    (tmp_path / "w").mkdir()
    (tmp_path / "w").chmod(bits)
    with pytest.raises(WorkspaceError, match="chmod 700"):
        prepare(tmp_path / "w", NAMES)
    assert not list((tmp_path / "w").iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "w").write_text("")
    with pytest.raises(WorkspaceError, match="--workspace"):
        prepare(tmp_path / "w", NAMES)


def test_another_users_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(WorkspaceError, match="another user"):
        prepare(tmp_path, NAMES)


def test_two_hubs_at_once_agree_on_the_authority(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: prepare(tmp_path / "w", NAMES), range(4)))
    check_handshake(found[0], "localhost")
    assert [path.name for path in found[0].workspace.iterdir() if "new" in path.name] == []


@contextlib.contextmanager
def tls_server(found):
    """Accept one connection after another, answer one byte with the next."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        context = server_context(found.server)
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(plain, True) as link:
                link.sendall(bytes((link.recv(1)[0] + 1,)))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def check_handshake(found, name, version=ssl.TLSVersion.TLSv1_2):
    context = ssl.create_default_context(cafile=found.ca_pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.maximum_version = version
    with tls_server(found) as port, socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname=name) as link:
            link.sendall(b"a")
            assert link.recv(1) == b"b"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", NAMES)
def test_openssl_verifies_every_name(made, name, version):
    check_handshake(made, name, version)


@pytest.mark.parametrize("name", ["127.0.0.2", "example.org"])
def test_openssl_refuses_other_names(made, name):
    with pytest.raises(ssl.SSLCertVerificationError):
        check_handshake(made, name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(made):
    with pytest.raises((ssl.SSLError, OSError)):
        check_handshake(made, "localhost", ssl.TLSVersion.TLSv1_1)


BOARD = """
import socket, ssl, sys
port, name, root = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_mode = ssl.CERT_REQUIRED
with open(root, "rb") as file:
    context.load_verify_locations(cadata=file.read())
plain = socket.socket()
plain.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
try:
    link = context.wrap_socket(plain, server_hostname=name)
    link.write(b"a")
    print("answer", link.read(1))
except (ValueError, OSError) as error:
    print("refused", error)
"""


@pytest.mark.parametrize(
    ("name", "own_root", "outcome"),
    [
        ("localhost", True, "answer b'b'"),
        ("hub.example", True, "answer b'b'"),
        ("example.org", True, "refused"),
        ("localhost", False, "refused"),
    ],
)
def test_micropython_verifies(made, tmp_path, name, own_root, outcome):
    script = tmp_path / "board.py"
    script.write_text(BOARD)
    root = made.ca_der
    if not own_root:
        root = tmp_path / "other.der"
        pem = make_authority(datetime.datetime.now(datetime.timezone.utc)).to_pem().decode()
        root.write_bytes(ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----BEGIN PRIVATE")]))
    with tls_server(made) as port:
        command = [MICROPYTHON, "-X", "heapsize=256k", script, str(port), name, root]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith(outcome), done.stdout + done.stderr
