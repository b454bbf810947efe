"""What every RP2 board takes, beside MicroPython's own manifest of that board."""

include("../shared")
module("rp2_port.py")
