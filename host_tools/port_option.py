"""The option by which commands are told a board's port."""

from __future__ import annotations

from typing import Annotated

import typer

PortOption = Annotated[
    str | None,
    typer.Option(
        "--port", "-p", metavar="PORT", help="Serial port; else THERMO_PORT, or the only board."
    ),
]
