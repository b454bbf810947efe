"""Secrets: read only where nobody else looks, shown nowhere, and a group's key stays here."""

import copy
import io
import os
import pickle
import pty
import sys

import pytest
from doubles.keys import KEY

from host_tools import credentials
from host_tools.credentials import CredentialError, Secret

CANARY = "canary-4711"


class _Stdin:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)

    def isatty(self):
        return False


def secret_file(folder, content=CANARY, mode=0o600):
    path = folder / "secret"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_nothing_shows_a_secret():
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", "%s" % secret]
    shown += [repr([secret]), repr({"key": secret}), repr(vars(CredentialError(secret)))]
    assert not [text for text in shown if CANARY in text]
    assert secret.reveal() == CANARY
    for leave in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            leave(secret)


def test_secrets_compare_by_what_they_hold():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert bool(Secret("a"))
    assert not Secret("")
    assert len({Secret("a"), Secret("a")}) == 1


def test_a_file_of_its_owners_alone_is_read(tmp_path):
    assert credentials.read(str(secret_file(tmp_path)), "--from") == CANARY.encode()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    path = secret_file(tmp_path, mode=mode)
    with pytest.raises(CredentialError, match=f"chmod 600 {path}") as caught:
        credentials.read_file(path)
    assert f"{mode:04o}" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_what_is_no_file_of_secrets_is_refused(tmp_path):
    for path, word in (
        (tmp_path, "directory"),
        (tmp_path / "missing", "No such file"),
        (secret_file(tmp_path, "  \n"), "is empty"),
    ):
        with pytest.raises(CredentialError, match=word):
            credentials.read_file(path)
    with pytest.raises(CredentialError, match="more than"):
        credentials.read_file(secret_file(tmp_path, "x" * 70000))
    with pytest.raises(CredentialError, match="not a file"):
        credentials.read_file(type(tmp_path)("/dev/zero"))


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = secret_file(tmp_path)
    owner = path.stat().st_uid
    found = os.stat_result([0o100600, 0, 0, 0, owner + 1, 0, 0, 0, 0, 0])
    monkeypatch.setattr(os, "fstat", lambda _: found)
    with pytest.raises(CredentialError, match="another user"):
        credentials.read_file(path)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", _Stdin(CANARY.encode()))
    assert credentials.read("-", "--from") == CANARY.encode()
    monkeypatch.setattr(sys, "stdin", _Stdin(b""))
    with pytest.raises(CredentialError, match="empty"):
        credentials.read("-", "--from")


def test_the_keyboard_is_no_standard_input(monkeypatch):
    ours, theirs = pty.openpty()
    with open(theirs) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        with pytest.raises(CredentialError, match="keyboard"):
            credentials.read("-", "--from")
    os.close(ours)


def test_without_a_terminal_nobody_is_asked(monkeypatch):
    def no_terminal(*_, **__):
        import getpass
        import warnings

        warnings.warn("no echo control", getpass.GetPassWarning, stacklevel=1)

    monkeypatch.setattr("getpass.getpass", no_terminal)
    with pytest.raises(CredentialError, match="--from"):
        credentials.ask("Wi-Fi password")


def test_a_secret_on_the_command_line_is_refused_and_not_repeated():
    text = f"HostName=h;DeviceId=d;SharedAccessKey={KEY}"
    with pytest.raises(CredentialError, match="--from holds a secret") as caught:
        credentials.read(text, "--from")
    assert KEY not in str(caught.value)
    assert credentials.refuse_in_arguments("file.json", "--from") == "file.json"


@pytest.mark.parametrize(
    "text",
    [
        f"HostName=h;DeviceId=d;SharedAccessKey={KEY}",
        f"sr=h&sig={KEY}&se=1",
        f'{{"group_key": "{KEY}", "id_scope": "x"}}',
        f'"password":"{KEY}"',
        f"got unexpected extra argument (HostName=h;sharedaccesskey={KEY})",
    ],
)
def test_lines_for_others_are_redacted(text):
    line = credentials.redacted(text)
    assert KEY not in line
    assert "…" in line


def test_what_is_no_secret_stays():
    for text in (
        "device d; see thermo provision --help, or the key of h",
        "wifi.password: has 7 characters; private_key: must name files; key=5",
        "SharedAccessKey is not base64",
    ):
        assert credentials.redacted(text) == text


def test_a_device_key_is_derived_as_microsoft_documents_it():
    """The values are those of openssl: printf %s ID | openssl sha256 -mac HMAC -macopt hexkey."""
    found = credentials.device_key(Secret(KEY), "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6")
    assert found.reveal() == "EnFxSApHp+sjG56B3mo1RP2me7gwU2MpVqTVt1K43uo="
    assert credentials.device_key(Secret(KEY), "a") != credentials.device_key(Secret(KEY), "b")


@pytest.mark.parametrize("key", ["", "no base64", "AAAA", KEY[:-1], "é" * 4, KEY * 4])
def test_a_group_key_that_cannot_be_is_refused_without_showing_it(key):
    with pytest.raises(CredentialError, match="group key") as caught:
        credentials.device_key(Secret(key), "d")
    assert not key or key not in str(caught.value)


def test_a_pipe_of_the_shells_is_nobody_elses():
    ours, others = os.pipe()
    try:
        os.write(others, CANARY.encode())
        os.close(others)
        assert credentials.read(f"/dev/fd/{ours}", "--from") == CANARY.encode()
    finally:
        os.close(ours)
