"""A board's configuration on the host, judged by the firmware's own code: what is refused here is
what the board would refuse, in the same words.

The firmware's modules are loaded as they lie in the tree, under no name that others could import.
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import sys
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from host_tools.problem import Problem
from host_tools.tree import source_tree

FILE = "config.json"
SET_POINTS_FILE = "setpoints.json"
VERSION = 1
# Of one file there are up to three copies; see firmware/system/store.py
COPIES = ("", ".new", ".bak")
# Source: IEEE 802.11, WPA2 passphrases; 64 hexadecimal digits are the key itself
_PASSPHRASE = range(8, 65)
_ROOMS = ("micropython", "iothub", "system", "thermostat", "drivers")
_LARGEST_BYTES = 8192  # firmware/system/store.py takes no more

Content = dict[str, Any]


class ConfigurationProblem(Problem):
    """A board would refuse this configuration; the text says what and what to do, no secrets."""


def newest(name: str, copies: Mapping[str, bytes]) -> Content | None:
    """The content that a board takes which has these copies of the file `name`; None: it has
    none. Raises ConfigurationProblem if it could use none of them."""
    firmware = _firmware()
    validate = _check_set_points if name == SET_POINTS_FILE else _check_settings
    store = firmware.Store(name, _Copies(copies), validate)
    try:
        found: Content | None = store.load()
    except firmware.ConfigurationError as error:
        raise ConfigurationProblem(str(error)) from None
    return found


def check(content: Content) -> None:
    """Raises ConfigurationProblem."""
    firmware = _firmware()
    try:
        _check_settings(content)
        _check_identity(content)
    except firmware.ConfigurationError as error:
        raise ConfigurationProblem(str(error)) from None
    except firmware.IdentityError as error:
        raise ConfigurationProblem(f"connection_string: {error}; copy it again, whole") from None
    _check_wifi(content.get("wifi", {}))


def check_set_points(content: Content) -> None:
    """Raises ConfigurationProblem."""
    firmware = _firmware()
    try:
        _check_set_points(content)
    except firmware.ConfigurationError as error:
        raise ConfigurationProblem(f"{SET_POINTS_FILE}: {error}") from None


def encoded(content: Content) -> bytes:
    """What is written for `content`, without a seal: the board puts its own. Raises
    ConfigurationProblem if it is larger than a board takes."""
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    if len(data) > _LARGEST_BYTES - 64:
        raise ConfigurationProblem(
            f"the configuration has {len(data)} bytes, a board takes {_LARGEST_BYTES - 64}; "
            "leave out what has its usual value"
        )
    return data


def referenced_files(content: Content) -> list[str]:
    """The files beside it that a configuration names."""
    named = [content.get("certificate"), content.get("private_key")]
    return [str(name) for name in [*named, *content.get("root_certificates", [])] if name]


def _check_settings(content: Content) -> None:
    firmware = _firmware()
    firmware.checked(content, firmware.kinds())


def _check_set_points(content: Content) -> None:
    firmware = _firmware()
    wrong = firmware.wrong_set_points(content)
    if wrong:
        raise firmware.ConfigurationError(*wrong)


def _check_identity(content: Content) -> None:
    firmware = _firmware()
    text = content.get("connection_string")
    if text and firmware.parse(text).key is None and not content.get("certificate"):
        raise firmware.ConfigurationError("certificate", "is missing, which x509=true asks for")
    provisioning = content.get("provisioning", {})
    if provisioning.get("key"):
        # Of the same form, and so judged by the same code
        firmware.parse(f"HostName=h;DeviceId=d;SharedAccessKey={provisioning['key']}")
    elif provisioning and not content.get("certificate"):
        raise firmware.ConfigurationError("provisioning.key", "or a certificate is missing")


def _check_wifi(wifi: Mapping[str, str]) -> None:
    password = wifi.get("password", "")
    if password and not wifi.get("ssid"):
        raise ConfigurationProblem("wifi.ssid: is missing; name the network of the password")
    if password and len(password) not in _PASSPHRASE:
        raise ConfigurationProblem(
            f"wifi.password: has {len(password)} characters, one of WPA has 8 to 63; type it again"
        )


class _Copies:
    """`files` as the firmware's Store wants them, of bytes in memory. What it writes is let go:
    sealing is the board's."""

    def __init__(self, copies: Mapping[str, bytes]) -> None:
        self._copies = dict(copies)

    def stat(self, path: str) -> tuple[int, ...]:
        if path not in self._copies:
            raise OSError(2)
        return (0, 0, 0, 0, 0, 0, len(self._copies[path]))

    def open(self, path: str, mode: str) -> io.BytesIO:
        return io.BytesIO(self._copies[path] if mode == "rb" else b"")

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def sync(self) -> None: ...


@functools.cache
def _firmware() -> SimpleNamespace:
    """What is used of the firmware. Its own imports find each other while this runs, and then
    nobody finds them any more."""
    stood_in = ModuleType("micropython")
    stood_in.__dict__["const"] = lambda value: value
    hidden = _take_out_firmware()
    sys.path.insert(0, str(source_tree() / "firmware"))
    sys.modules["micropython"] = stood_in
    try:
        load = importlib.import_module
        return SimpleNamespace(
            Store=load("system.store").Store,
            ConfigurationError=load("system.store").ConfigurationError,
            checked=load("thermostat.settings").checked,
            wrong_set_points=load("thermostat.kept").check,
            kinds=load("drivers.registry").kinds,
            parse=load("iothub.identity").parse,
            IdentityError=load("iothub.identity").IdentityError,
        )
    finally:
        del sys.path[0]
        _take_out_firmware()
        sys.modules.update(hidden)


def _take_out_firmware() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in _ROOMS]
    return {name: sys.modules.pop(name) for name in names}
