"""A board's own knowledge in one file: configuration, set points, certificates.

    {"format": "thermo backup", "version": 1, "configuration": {...}, "set_points": {...} or null,
     "files": {name: base64}, "sha256": of all members before it}

It holds secrets: mode 0600, and no repr shows them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from host_tools import configuration, credentials, provision
from host_tools.changes import Change
from host_tools.configuration import Content
from host_tools.hub.certificates import write_private
from host_tools.problem import Problem
from host_tools.provision import Files

_FORMAT = "thermo backup"
_VERSION = 1


class BackupError(Problem):
    """A backup cannot be made or used; the text says why and what to do."""


@dataclass(frozen=True)
class Backup:
    """What a board knows. Nothing shows it."""

    configuration: Content = field(repr=False)
    set_points: Content | None = field(repr=False)
    files: dict[str, bytes] = field(repr=False)

    def names(self) -> list[str]:
        points = [] if self.set_points is None else ["set points"]
        return ["the configuration", *points, *sorted(self.files)]


# ---- from and to a board


def take(board: Files) -> Backup:
    """What a stopped board has. Raises BackupError, ConfigurationProblem."""
    content = provision.read(board)
    if content is None:
        raise BackupError("the board has no configuration to keep; give it one: thermo provision")
    points = provision.copies(board, configuration.SET_POINTS_FILE)
    there = set(board.names())
    named = configuration.referenced_files(content)
    missing = [name for name in named if name not in there]
    if missing:
        raise BackupError(
            f"the board's configuration names {', '.join(missing)}, which it does not have; "
            "provision it anew"
        )
    return Backup(
        content,
        configuration.newest(configuration.SET_POINTS_FILE, points),
        {name: board.read("/" + name) for name in named},
    )


def put_back(board: Files, backup: Backup, force: bool) -> None:
    """Write it onto a stopped board, and compare. Raises BackupError, ConfigurationProblem before
    anything is written; ProvisionError."""
    check(backup)
    former = provision.copies(board, configuration.FILE)
    if former and not force:
        raise BackupError(
            "the board has a configuration; add --force to replace it, and keep the one it has by "
            "thermo backup first"
        )
    files, content = _without_clashes(board, backup)
    provision.install(board, None, Change(content, files))
    if backup.set_points is None:
        # They were another room's
        provision.forget_set_points(board)
    else:
        data = configuration.encoded(backup.set_points)
        provision.write_checked(board, configuration.SET_POINTS_FILE, data)


def _without_clashes(board: Files, backup: Backup) -> tuple[dict[str, bytes], Content]:
    """A file whose name the board has for something else gets another: the configuration that
    it goes by so far may name it, and is to hold until the new one does."""
    there = set(board.names())
    renamed = {}
    for name, body in backup.files.items():
        digest = hashlib.sha256(body).hexdigest()
        if name in there and board.hash("/" + name) != digest:
            renamed[name] = f"{digest[:12]}-{name}"[-64:]
    content = dict(backup.configuration)
    for member in ("certificate", "private_key"):
        if content.get(member) in renamed:
            content[member] = renamed[content[member]]
    if "root_certificates" in content:
        roots = content["root_certificates"]
        content["root_certificates"] = [renamed.get(name, name) for name in roots]
    files = {renamed.get(name, name): body for name, body in backup.files.items()}
    return files, content


# ---- from and to a file


def check_target(path: Path, force: bool) -> None:
    """Before the board is asked. Raises BackupError."""
    if path.exists() and not force:
        raise BackupError(f"{path} exists; choose another name, or replace it with --force")
    if not path.parent.is_dir():
        raise BackupError(f"there is no folder {path.parent}; make it, or choose another")


def write(path: Path, backup: Backup, force: bool) -> None:
    """Whole or not at all, mode 0600. Raises BackupError, OSError."""
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "configuration": backup.configuration,
        "set_points": backup.set_points,
        "files": {
            name: base64.b64encode(body).decode() for name, body in sorted(backup.files.items())
        },
    }
    data = json.dumps({**document, "sha256": _checksum(document)}, indent=1).encode()
    try:
        write_private(path, data + b"\n", only_if_new=not force)
    except FileExistsError:
        raise BackupError(f"{path} exists; choose another name, or use --force") from None


def read(path: Path) -> Backup:
    """Raises CredentialError for a file that others may read, BackupError for one that is
    damaged, ConfigurationProblem for one whose content no board would take."""
    try:
        document = json.loads(credentials.read_file(path))
    except ValueError:
        raise _damaged(path) from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise BackupError(f"{path} is no backup; name a file made by thermo backup")
    if document.get("version") != _VERSION:
        raise BackupError(f"{path} is of another version; use the thermo that made it")
    checksum = document.pop("sha256", None)
    if checksum != _checksum(document):
        raise _damaged(path)
    try:
        files = {
            str(name): base64.b64decode(body, validate=True)
            for name, body in document["files"].items()
        }
        found = Backup(document["configuration"], document["set_points"], files)
    except (KeyError, TypeError, AttributeError, binascii.Error):
        raise _damaged(path) from None
    check(found)
    return found


def check(backup: Backup) -> None:
    """Raises ConfigurationProblem or BackupError for what a board would refuse."""
    configuration.check(backup.configuration)
    if backup.set_points is not None:
        configuration.check_set_points(backup.set_points)
    named = configuration.referenced_files(backup.configuration)
    if set(named) != set(backup.files):
        raise BackupError(
            "the backup lacks files that its configuration names, or has others; make a new one"
        )
    key = backup.configuration.get("private_key")
    for name, body in backup.files.items():
        _check_der(name, body, is_key=name == key)


def _check_der(name: str, body: bytes, is_key: bool) -> None:
    try:
        if is_key:
            serialization.load_der_private_key(body, None)
        else:
            x509.load_der_x509_certificate(body)
    except (ValueError, TypeError):
        what = "key" if is_key else "certificate"
        raise BackupError(
            f"{name} of the backup is no {what} in DER; provision the board anew"
        ) from None


def _damaged(path: Path) -> BackupError:
    return BackupError(f"{path} is damaged: its checksum does not match; use another copy")


def _checksum(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
