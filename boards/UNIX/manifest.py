"""The simulated board. Frozen into the unix port:

make -C $MICROPYTHON/ports/unix FROZEN_MANIFEST=$PWD/boards/UNIX/manifest.py
"""

include("$(PORT_DIR)/variants/standard/manifest.py")
include("../shared/firmware.py")
module("board.py")
package("simulated")
