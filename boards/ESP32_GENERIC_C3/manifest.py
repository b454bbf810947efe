"""A frozen build, in a checkout of MicroPython (HERE is this folder):

make -C ports/esp32 BOARD=ESP32_GENERIC_C3 FROZEN_MANIFEST=$HERE/manifest.py
"""

include("../esp32")
module("board.py")
