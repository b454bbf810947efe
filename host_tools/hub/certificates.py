"""The certificates of a local hub: an authority of its own for each workspace, never shared.

Whoever holds the authority's key can be any hub to those who trust it, so the keys are made on
this machine, are readable by their owner alone, and never leave it. What is in the certificates
is `host_tools.hub.authority`'s.

Files in the workspace, all of mode 0600:
    authority.pem   certificate and key of the authority
    server.pem      certificate and key of the hub
    ca.pem, ca.der  the authority's certificate, for clients
    ca-bundle.pem   the same behind certifi's, for clients that speak to the internet as well
    running.json    see `host_tools.hub.running`
"""

from __future__ import annotations

import contextlib
import datetime
import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from host_tools.hub.authority import Identity, make_authority, make_server, names_of
from host_tools.problem import Problem

DEFAULT_WORKSPACE = Path(".thermo")
_RENEW_BEFORE = datetime.timedelta(days=30)


class WorkspaceError(Problem):
    """The workspace cannot hold keys; the text says why and what to do."""


@dataclass(frozen=True)
class Certificates:
    """Where the files of one workspace are."""

    workspace: Path

    @property
    def authority(self) -> Path:
        return self.workspace / "authority.pem"

    @property
    def server(self) -> Path:
        return self.workspace / "server.pem"

    @property
    def ca_pem(self) -> Path:
        return self.workspace / "ca.pem"

    @property
    def ca_der(self) -> Path:
        return self.workspace / "ca.der"

    @property
    def ca_bundle(self) -> Path:
        return self.workspace / "ca-bundle.pem"


def prepare(
    workspace: Path, names: Iterable[str], now: datetime.datetime | None = None
) -> Certificates:
    """Make the workspace's certificates ready for a hub that is called by `names`.

    What is there is kept while it is valid for 30 days more and covers the names. `names` are
    host names and IP addresses. Raises WorkspaceError and OSError.
    """
    now = now or datetime.datetime.now(datetime.timezone.utc)
    certificates = Certificates(workspace)
    _make_folder(workspace)
    authority = _keep_or_make_authority(certificates.authority, now)
    wanted = frozenset(names)
    server = _load(certificates.server)
    if server is None or not _is_good(server, now, authority, wanted):
        made = make_server(authority, wanted, now)
        write_private(certificates.server, made.to_pem())
    _write_for_clients(certificates, authority.certificate)
    return certificates


def load_authority(workspace: Path) -> Identity:
    """The authority of a workspace that is ready. Raises WorkspaceError."""
    found = _load(Certificates(workspace).authority)
    if found is None:
        raise WorkspaceError(f"the folder {workspace} has no authority; start the hub in it")
    return found


def _make_folder(folder: Path) -> None:
    """Make the folder with mode 0700, or check that the one there is safe for keys."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    if not folder.is_dir():
        raise WorkspaceError(f"{folder} is not a folder; choose another with --workspace")
    if os.name != "posix":
        return
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise WorkspaceError(
            f"the folder {folder} belongs to another user; choose your own with --workspace"
        )
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise WorkspaceError(
            f"others can write to the folder {folder}, so keys are not safe in it; "
            f"run `chmod 700 {folder}` or choose another with --workspace"
        )


def _keep_or_make_authority(path: Path, now: datetime.datetime) -> Identity:
    found = _load(path)
    if found is not None and _lives(found.certificate, now):
        return found
    made = make_authority(now)
    # Of two hubs that start at once in a fresh workspace the first to get here wins.
    if found is None and not path.exists():
        with contextlib.suppress(FileExistsError):
            write_private(path, made.to_pem(), only_if_new=True)
        return _load(path) or made
    write_private(path, made.to_pem())
    return made


def _load(path: Path) -> Identity | None:
    """Return what the file holds; None when it is absent, damaged, or readable by others."""
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            return None
        data = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(data)
        key = serialization.load_pem_private_key(data, None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        return None
    return Identity(certificate, key)


def _lives(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin <= now <= end - _RENEW_BEFORE


def _is_good(
    server: Identity, now: datetime.datetime, authority: Identity, names: frozenset[str]
) -> bool:
    if not _lives(server.certificate, now) or not names <= names_of(server.certificate):
        return False
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _write_for_clients(certificates: Certificates, authority: x509.Certificate) -> None:
    pem = authority.public_bytes(serialization.Encoding.PEM)
    write_private(certificates.ca_pem, pem)
    write_private(certificates.ca_der, authority.public_bytes(serialization.Encoding.DER))
    write_private(certificates.ca_bundle, Path(certifi.where()).read_bytes() + b"\n" + pem)


def write_private(path: Path, data: bytes, only_if_new: bool = False) -> None:
    """Write the whole file or nothing, mode 0600 from its first byte.

    Raises FileExistsError when `only_if_new` and somebody was faster.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        if only_if_new:
            os.link(temporary, path)
        else:
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
