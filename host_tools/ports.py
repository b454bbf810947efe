"""Serial ports with boards on them, found by the USB ids of chips and of their serial bridges."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from host_tools.problem import Problem

PORT_VARIABLE = "THERMO_PORT"
RASPBERRY_PI, ESPRESSIF = 0x2E8A, 0x303A
# Source: the vendors' ids in the USB-IF list, and pyserial users' reports of boards
_BRIDGES = {0x10C4: "CP210x", 0x1A86: "CH34x", 0x0403: "FTDI", 0x067B: "PL2303"}


class PortError(Problem):
    """There is no port to take, or more than one; the text says which, and what to do."""


@dataclass(frozen=True)
class Port:
    """A serial port: how it is opened, the USB vendor's id, and what it is, for people."""

    device: str
    vendor: int
    what: str

    @property
    def may_be_esp32(self) -> bool:
        return self.vendor == ESPRESSIF or self.vendor in _BRIDGES

    @property
    def is_rp2(self) -> bool:
        return self.vendor == RASPBERRY_PI


def named_port(wanted: str | None) -> str | None:
    """`wanted`, or what THERMO_PORT names."""
    return wanted or os.environ.get(PORT_VARIABLE) or None


def list_ports() -> list[Port]:
    """The ports that may have a board, in order."""
    # Late: it takes longer to load than most commands take to run
    from serial.tools import list_ports as pyserial

    found = []
    for port in sorted(pyserial.comports()):
        if port.vid in (RASPBERRY_PI, ESPRESSIF) or port.vid in _BRIDGES:
            found.append(Port(port.device, port.vid, port.description or "a serial port"))
    return found


def choose_port(ports: Sequence[Port]) -> Port:
    """The only one of `ports`. Raises PortError if there is none or a choice."""
    if not ports:
        raise PortError(
            "no board is found; plug it in with a cable that carries data, or name its port "
            f"with --port, or with {PORT_VARIABLE}"
        )
    if len(ports) > 1:
        named = ", ".join(f"{port.device} ({port.what})" for port in ports)
        raise PortError(
            f"there are {len(ports)} boards: {named}; choose one with --port, or with "
            f"{PORT_VARIABLE}"
        )
    return ports[0]
