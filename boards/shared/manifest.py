"""What every board with a chip takes: the firmware, and what these boards have in common."""

include("firmware.py")
package("hardware")
