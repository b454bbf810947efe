"""Runs on MicroPython: flash_full.py STRIDE. A flash with N bytes of other people's files."""

import json
import sys

from littlefs import LittleFlash, TornDevice, formatted
from system.store import Store

STRIDE = int(sys.argv[1])
OLD = {"version": 1, "name": "o" * 700}
NEW = {"version": 1, "name": "n" * 1400}
PIECE = b"x" * 32


def store_on(flash):
    return Store("/config.json", flash, lambda found: None)


image = formatted(prepare=lambda flash: store_on(flash).save(OLD))
fills = refused = bad = 0
for pieces in range(0, 24 * 512 // len(PIECE), STRIDE):
    flash = LittleFlash(TornDevice(data=bytearray(image)))
    try:
        with flash.open("/ballast", "wb") as file:
            for _ in range(pieces):
                file.write(PIECE)
    except OSError:
        pass
    expected = NEW
    try:
        store_on(flash).save(NEW)
    except OSError:
        refused += 1
        expected = OLD
    fills += 1
    bad += store_on(flash).load() != expected
print("result " + json.dumps({"fills": fills, "refused": refused, "bad": bad}))
