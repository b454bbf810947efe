"""A change of the configuration, brought onto a board: the old configuration with all that belongs
to it, or the new one, whenever the cable is pulled.

Files come first, under names that the old configuration does not use; the configuration itself
takes its place by one renaming; what nothing names any more goes last.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Protocol

from host_tools import configuration
from host_tools.changes import HUB_CA, Change, ProvisionError
from host_tools.configuration import COPIES, FILE, SET_POINTS_FILE, Content

_IDENTITY = ("connection_string", "certificate", "private_key", "provisioning")
# Files that an earlier provisioning has made, and so this one may take away
_OURS = re.compile(r"(device|hub-ca)-[0-9a-f]{12}(\.key)?\.der")


class Files(Protocol):
    """The flash of a board. Paths are absolute there."""

    def names(self) -> list[str]:
        """Of the files in the root folder."""

    def read(self, path: str) -> bytes: ...

    def replace(self, path: str, content: bytes) -> None:
        """Write PATH.new, and rename it to PATH once it is whole."""

    def hash(self, path: str) -> str:
        """In hex, as the board computes it."""

    def remove(self, path: str) -> None: ...


def merged(existing: Content | None, change: Change) -> Content:
    """The configuration `existing` with the change. What the change does not speak of stays."""
    content: Content = {"version": configuration.VERSION, **(existing or {})}
    if change.identity:
        _take_out_identity(content)
    for name, value in change.members.items():
        former = content.get(name)
        both = isinstance(value, dict) and isinstance(former, dict) and name != "wifi"
        content[name] = {**former, **value} if both and isinstance(former, dict) else value
    return content


def _take_out_identity(content: Content) -> None:
    for name in _IDENTITY:
        content.pop(name, None)
    roots = content.get("root_certificates", [])
    _keep(content, "root_certificates", [name for name in roots if not name.startswith(HUB_CA)])
    connection = content.get("connection", {})
    _keep(content, "connection", {name: connection[name] for name in connection if name != "port"})


def _keep(content: Content, name: str, value: Any) -> None:
    """`value`, unless it is empty."""
    content.pop(name, None)
    if value:
        content[name] = value


def read(files: Files) -> Content | None:
    """The configuration that the board goes by; None: it has none. Raises ConfigurationProblem
    if what it has cannot be used."""
    return configuration.newest(FILE, copies(files, FILE))


def copies(files: Files, name: str) -> dict[str, bytes]:
    """Those of the file `name` that there are."""
    there = set(files.names())
    wanted = [name + ending for ending in COPIES]
    return {each: files.read("/" + each) for each in wanted if each in there}


def install(files: Files, existing: Content | None, change: Change) -> list[str]:
    """Bring the change onto the board, read it back, and compare.

    Returns: what was written, in names without values. Raises ConfigurationProblem before
    anything is written, ProvisionError if what the board has is not what was sent.
    """
    content = merged(existing, change)
    configuration.check(content)
    data = configuration.encoded(content)
    for name, body in change.files.items():
        write_checked(files, name, body)
    write_checked(files, FILE, data)
    _remove_forgotten(files, content)
    return [*_told(content, change), *sorted(change.files)]


def write_checked(files: Files, name: str, body: bytes) -> None:
    """Write, read back, compare. Raises ProvisionError."""
    path = "/" + name
    files.replace(path, body)
    if files.hash(path) != hashlib.sha256(body).hexdigest():
        raise ProvisionError(
            f"the board has not kept {path} as it was sent; try again, and if that happens twice, "
            "its flash is worn: use another board"
        )


def _remove_forgotten(files: Files, content: Content) -> None:
    """Certificates that an earlier provisioning has brought and nothing names any more.

    The former configuration (.bak) may name them; it is of use only if the new one, just
    compared, is damaged before the board has started once.
    """
    kept = set(configuration.referenced_files(content))
    for name in files.names():
        if _OURS.fullmatch(name.removesuffix(".new")) and name not in kept:
            files.remove("/" + name)


def forget_set_points(files: Files) -> bool:
    """Take away what the cloud has set before; then the configuration's count. Was there any?

    The older copy first: it does not come back in the place of the newer if the cable is pulled.
    """
    found = copies(files, SET_POINTS_FILE)
    for name in reversed(found):
        files.remove("/" + name)
    return bool(found)


def _told(content: Content, change: Change) -> list[str]:
    """The members that changed; of the connection string also where it leads, which is no
    secret."""
    told = []
    for name in sorted(change.members):
        value = content[name]
        if name == "wifi":
            told.append(f"wifi: ssid {value.get('ssid')}, password")
        elif name == "connection_string":
            fields = [part for part in value.split(";") if part.startswith(("HostName", "Dev"))]
            told.append(f"connection_string: {', '.join(fields)}")
        elif name == "provisioning":
            told.append(f"provisioning: {value['id_scope']}, {value['registration_id']}")
        else:
            told.append(name)
    return told
