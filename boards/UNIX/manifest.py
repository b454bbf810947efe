"""The simulated board. A frozen build, in a checkout of MicroPython (HERE is this folder):

make -C ports/unix FROZEN_MANIFEST=$HERE/manifest.py
"""

include("$(PORT_DIR)/variants/standard/manifest.py")
include("../shared/firmware.py")
module("board.py")
package("simulated")
