"""The firmware, as every board's manifest includes it: for a frozen build and for `thermo deploy`.

Not here: models/*.json and roots/*.der, which are files and cannot be frozen. A frozen build gets
them once onto its file system, where the frozen firmware looks for them:

    mpremote cp -r firmware/models firmware/roots :
"""

FIRMWARE = "../../firmware"

module("boot.py", base_path=FIRMWARE)
module("main.py", base_path=FIRMWARE)
package("drivers", base_path=FIRMWARE)
package("iothub", base_path=FIRMWARE)
package("pnp", base_path=FIRMWARE)
package("system", base_path=FIRMWARE)
package("thermostat", base_path=FIRMWARE)

# MicroPython's own ESP32 builds have it frozen, its RP2 builds have not
require("umqtt.simple")
