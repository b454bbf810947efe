"""`thermo demo`: what `make run` runs."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from host_tools import demo as demonstration


def demo(
    seconds: Annotated[
        float, typer.Option(min=0, max=86400, help="End after so long; 0: at Ctrl-C.")
    ] = 0,
) -> None:
    """Run a hub, a thermostat and a tour of it, live on the screen.

    The thermostat is the firmware itself on MicroPython's unix port, in simulated rooms under
    the weather of Seattle. The tour uses Microsoft's azure-iot-hub package, unmodified. Without
    a terminal it prints lines. The last line is a summary in JSON.

    [bold]Example[/bold]

      thermo demo --seconds 30
    """
    logging.basicConfig(level=logging.ERROR)
    demonstration.demo(seconds)
