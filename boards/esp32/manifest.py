"""What every ESP32 board takes."""

include("$(PORT_DIR)/boards/manifest.py")
include("../shared")
module("esp32_port.py")
