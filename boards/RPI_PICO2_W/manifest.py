"""A frozen build, in a checkout of MicroPython (HERE is this folder):

make -C ports/rp2 BOARD=RPI_PICO2_W FROZEN_MANIFEST=$HERE/manifest.py
"""

# With the networking modules that MicroPython itself freezes for this board, `ssl` among them
include("$(PORT_DIR)/boards/RPI_PICO2_W/manifest.py")
include("../rp2")
module("board.py")
