"""The whole thermostat on every board with a chip, over the doubles of its port."""

import asyncio
import sys

from doubles import folders, port
from doubles.port import Chip

BOARDS = {"ESP32_GENERIC": "esp32", "ESP32_GENERIC_C3": "esp32c3", "RPI_PICO2_W": "rp2350"}
FOLDER = port.ROOT + "/build/tests/app-on-hardware-" + sys.implementation.name
# The sensor reads 16 °C, well below the target: the relay goes on as soon as it may
CONFIGURATION = """{"version": 1, "wifi": {"ssid": "house", "password": "secret"},
    "zones": [{"name": "thermostat1", "sensor": "sht4x", "bus": 0, "relay": 1}],
    "control": {"minimum_off_s": 0, "minimum_on_s": 0, "tick_ms": 100, "sample_period_ms": 200}}
"""


class Sht4x:
    """-45 + 175 x 0x593B / 65535 = 16.0 °C. Source: SHT4x data sheet 4.6; CRC of 4.4."""

    def write(self, data):
        return len(data)

    def read(self, size):
        return b"\x59\x3b\x8a\x59\x3b\x8a"[:size]


def make_folder():
    folders.empty(FOLDER)
    with open(FOLDER + "/config.json", "w") as file:
        file.write(CONFIGURATION)


def assembled(name, chip):
    """The App on the board, whose files lie in a folder of this test."""
    from thermostat.assembly import assemble

    board = port.load(port.source_of(name), chip)
    board.names["data_path"] = FOLDER
    return board, assemble(board)


async def run_until(app, is_done):
    task = asyncio.create_task(app.run())
    for _ in range(100):
        await asyncio.sleep(0.05)
        if is_done():
            break
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass


def test_the_thermostat_heats_feeds_and_leaves_the_relays_off():
    for name in BOARDS:
        make_folder()
        chip = Chip(BOARDS[name])
        chip.i2c_chips[0x44] = Sht4x()
        board, app = assembled(name, chip)
        pin, on = board.RELAYS[1]
        assert chip.wlan.asked == [("house", "secret")]
        seen = []

        def is_done(chip=chip, pin=pin, seen=seen, on=on):
            seen.append(chip.level(pin) == on)
            return seen[-1] and chip.fed > 1

        asyncio.run(run_until(app, is_done))
        assert seen[-1], "it never heated"
        assert chip.watchdog_ms == 8000
        app.leave()
        assert [chip.level(pin) for pin, on in board.RELAYS] == [0, 0]
