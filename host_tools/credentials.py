"""Secrets of the user's: read where nobody else looks, and shown nowhere.

They come from a prompt without echo, from a file that its owner alone may read, or from standard
input; never from the command line, which every user of the machine sees in the process list.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import hmac
import os
import re
import stat
import sys
import warnings
from pathlib import Path
from typing import NoReturn

from host_tools.problem import Problem

# Nothing of ours is longer: a certificate chain in PEM has some 10 KB
_LARGEST_BYTES = 64 * 1024
# Source: Microsoft, "Quotas and throttling" of the identity registry: keys have 16 to 64 bytes
_KEY_BYTES = range(16, 65)
# What Azure's texts call their secrets: in connection strings and tokens, in our own files
_SECRET_FIELDS = re.compile(
    r"""((?:SharedAccessKey|\bsig)=|"(?:\w*key|password|connection_string)"\s*:\s*")[^"&;,)\s]+""",
    re.IGNORECASE,
)
_HOLDS_SECRET = re.compile(r"(?:SharedAccessKey|sig)=", re.IGNORECASE)


class CredentialError(Problem):
    """A secret cannot be read or used; the text says why and what to do, and holds no secret."""


class Secret:
    """A text that no repr, str, format or pickle shows. `reveal()` is for whom it is meant."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def redacted(text: str) -> str:
    """`text` without the values of what looks like a key: for lines that others may read."""
    return _SECRET_FIELDS.sub(r"\1…", text)


def refuse_in_arguments(value: str, option: str) -> str:
    """`value`, unless it is a secret, put where everybody sees it. Raises CredentialError."""
    if _HOLDS_SECRET.search(value):
        raise CredentialError(
            f"{option} holds a secret, which the process list and the shell's history now have; "
            "give it by a file of mode 0600 or by standard input (-), and renew the key"
        )
    return value


# ---- where secrets come from


def read_file(path: Path) -> bytes:
    """The content of a file of secrets. Raises CredentialError unless its owner, the user, alone
    may read it."""
    try:
        # Whatever is checked is what is read: the file is opened once.
        with open(path, "rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise CredentialError(
            f"{path} cannot be read ({error.strerror}); check the path"
        ) from error
    return _checked_size(content, str(path))


def read_stdin() -> bytes:
    """All of standard input. Raises CredentialError if that is the keyboard: it would echo."""
    if sys.stdin.isatty():
        raise CredentialError(
            "standard input is the keyboard, which shows what is typed; pipe the secret in, "
            "or leave the option away to be asked without echo"
        )
    return _checked_size(sys.stdin.buffer.read(_LARGEST_BYTES + 1), "standard input")


def read(source: str, option: str) -> bytes:
    """Of `source`: a path, or "-" for standard input. Raises CredentialError."""
    refuse_in_arguments(source, option)
    return read_stdin() if source == "-" else read_file(Path(source))


def ask(question: str) -> Secret:
    """Ask at the terminal, without echo. Raises CredentialError where there is none."""
    with warnings.catch_warnings():
        # Where the echo cannot be switched off, getpass would go on with a warning
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return Secret(getpass.getpass(f"{question} (not shown): ", stream=sys.stderr).strip())
        except (getpass.GetPassWarning, EOFError) as error:
            raise CredentialError(
                "there is no terminal to ask at without echo; use --from FILE or --from -"
            ) from error


def _check_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISFIFO(found.st_mode):
        raise CredentialError(f"{path} is not a file; name the file that holds the secret")
    if os.name != "posix" or stat.S_ISFIFO(found.st_mode):
        return  # a pipe of the shell's, `<(…)`, is in no folder that others read
    if found.st_uid not in (os.geteuid(), 0):
        raise CredentialError(f"{path} belongs to another user; make a copy of your own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise CredentialError(
            f"{path} may be read by others (mode {stat.S_IMODE(found.st_mode):04o}); "
            f"run `chmod 600 {path}`, and renew the secret if others use this machine"
        )


def _checked_size(content: bytes, name: str) -> bytes:
    if len(content) > _LARGEST_BYTES:
        raise CredentialError(f"{name} has more than {_LARGEST_BYTES} bytes; name another file")
    if not content.strip():
        raise CredentialError(f"{name} is empty; put the secret into it")
    return content


# ---- keys


def decoded_key(text: str, name: str) -> bytes:
    """The bytes of a key in base64. Raises CredentialError, naming `name` only."""
    try:
        key = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise CredentialError(f"{name} is not base64; copy it again, whole") from None
    if len(key) not in _KEY_BYTES:
        raise CredentialError(
            f"{name} has {len(key)} bytes, one of Azure's has {_KEY_BYTES[0]} to "
            f"{_KEY_BYTES[-1]}; copy it again, whole"
        )
    return key


def device_key(group_key: Secret, registration_id: str) -> Secret:
    """The key of one device of an enrollment group, derived here: the group's key, which opens
    the door for every device of the group, never reaches a board.

    Raises CredentialError. Source: Microsoft, "How to use symmetric key attestation with DPS",
    "Derive a device key": base64 of HMAC-SHA256 over the registration id.
    """
    key = decoded_key(group_key.reveal(), "the group key")
    digest = hmac.new(key, registration_id.encode("utf-8"), hashlib.sha256).digest()
    return Secret(base64.b64encode(digest).decode("ascii"))
