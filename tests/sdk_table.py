"""The README's table of what Microsoft's packages can do with the local hub, taken from the tests.

    python -m tests.sdk_table           writes it into README.md (`make readme`)

An operation is a public method of a client class. It works if a test or a script of one calls it
on the unmodified package: tests that fail are not on main. What is in PARTLY works with the gap
that is told there.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- sdk table: make readme -->", "<!-- end of the sdk table -->"
SOURCES = ("tests/seeds", "tests/integration")
PARTLY: dict[str, str] = {}


class Client(NamedTuple):
    """A class of a package; `module` where it is imported from."""

    package: str
    module: str
    name: str


CLIENTS = (
    Client("azure-iot-hub", "azure.iot.hub", "IoTHubRegistryManager"),
    Client("azure-iot-hub", "azure.iot.hub", "DigitalTwinClient"),
    Client("azure-iot-hub", "azure.iot.hub", "IoTHubConfigurationManager"),
    Client("azure-iot-hub", "azure.iot.hub", "IoTHubJobManager"),
    Client("azure-iot-hub", "azure.iot.hub", "IoTHubHttpRuntimeManager"),
    Client("azure-iot-device", "azure.iot.device", "IoTHubDeviceClient"),
    Client("azure-iot-device", "azure.iot.device.aio", "IoTHubDeviceClient"),
    Client("azure-iot-device", "azure.iot.device", "IoTHubModuleClient"),
    Client("azure-iot-device", "azure.iot.device.aio", "IoTHubModuleClient"),
    Client("azure-iot-device", "azure.iot.device", "ProvisioningDeviceClient"),
    Client("azure-iot-device", "azure.iot.device.aio", "ProvisioningDeviceClient"),
    Client("azure-digitaltwins-core", "azure.digitaltwins.core", "DigitalTwinsClient"),
    Client("azure-digitaltwins-core", "azure.digitaltwins.core.aio", "DigitalTwinsClient"),
    Client("azure-eventhub", "azure.eventhub", "EventHubConsumerClient"),
    Client("azure-eventhub", "azure.eventhub.aio", "EventHubConsumerClient"),
)


class Row(NamedTuple):
    client: Client
    works: list[str]
    partly: list[str]
    missing: list[str]


def rows() -> Iterator[Row]:
    texts = [
        path.read_text() for folder in SOURCES for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    for client in CLIENTS:
        called = _called(client, texts)
        row = Row(client, [], [], [])
        for name in operations(client):
            if name not in called:
                row.missing.append(name)
            elif f"{client.name}.{name}" in PARTLY:
                row.partly.append(name)
            else:
                row.works.append(name)
        yield row


def operations(client: Client) -> list[str]:
    """Public methods, and handlers that are set as attributes, in their order in the class."""
    found = getattr(importlib.import_module(client.module), client.name)
    names = []
    for kind in reversed(found.__mro__):
        for name, value in vars(kind).items():
            is_handler = isinstance(value, property) and value.fset is not None
            is_method = inspect.isroutine(value) or isinstance(value, (classmethod, staticmethod))
            if not name.startswith("_") and (is_handler or is_method) and name not in names:
                names.append(name)
    return names


def _called(client: Client, texts: list[str]) -> set[str]:
    """Names that are called or set in a file that imports the class from that module."""
    names: set[str] = set()
    wanted = re.compile(
        rf"from {re.escape(client.module)} import [^\n]*?(\([^)]*)?\b{client.name}\b"
    )
    for text in texts:
        if wanted.search(text):
            names.update(re.findall(r"\.(\w+)\(", text))
            names.update(re.findall(r"\.(on_\w+|provisioning_payload) = ", text))
            if f"{client.name}(" in text or f"{client.name}." in text:
                names.add("__init__")
    return names


def table() -> str:
    lines = [
        "| package | client | works | partly | not tried |",
        "|---|---|---|---|---|",
    ]
    for client, works, partly, missing in rows():
        is_aio = " (aio)" if client.module.endswith(".aio") else ""
        total = len(works) + len(partly) + len(missing)
        lines.append(
            f"| {client.package} | `{client.name}`{is_aio} | {len(works)} of {total} "
            f"| {_names(partly)} | {_names(missing) if works or partly else 'all of it'} |"
        )
    return "\n".join(lines)


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def with_table(readme: str) -> str:
    """`readme` with the table of today between its marks."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError("README.md has no marks for the table")
    return f"{head}{begin}\n{table()}\n{end}{tail}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
