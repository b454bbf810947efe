"""What one reading costs on the heap: nothing. Figures of a 64-bit host, where the BME280's
pressure formula stays inside small ints too; a 32-bit board pays for three or four of its steps.
"""

import gc

import micropython
from doubles.bus import FakeBus
from drivers.bme280 import BME280
from drivers.reading import Reading
from drivers.sht4x import SHT4x, crc8
from simulated.bme280 import EXAMPLE_P, EXAMPLE_T


def _words(values):
    return b"".join(bytes([value & 0xFF, value >> 8 & 0xFF]) for value in values)


def _sht4x():
    word = b"\x66\x66"
    word += bytes([crc8(word, 0, 2)])
    return SHT4x(FakeBus(0x44, word + word), 0x44)


def _bme280(chip_id):
    bus = FakeBus(0x76)
    bus.registers[0xD0] = chip_id
    bus.registers[0x88:0xA0] = _words(EXAMPLE_T + EXAMPLE_P)
    bus.registers[0xA1] = 75
    bus.registers[0xE1:0xE8] = bytes([0x6A, 0x01, 0x00, 0x13, 0x29, 0x03, 0x1E])
    bus.registers[0xF7:0xFF] = bytes([0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x75, 0x30])
    return BME280(bus, 0x76)


def _cost(sensor, reading):
    """Bytes that a hundred readings leave behind, after a first one."""
    sensor.start()
    sensor.finish(reading)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(100):
        sensor.start()
        sensor.finish(reading)
    cost = gc.mem_alloc() - before
    gc.enable()
    return cost


def _locked(sensor, reading):
    micropython.heap_lock()
    try:
        sensor.start()
        sensor.finish(reading)
    finally:
        micropython.heap_unlock()


def test_sht4x_allocates_nothing():
    sensor, reading = _sht4x(), Reading()
    assert _cost(sensor, reading) == 0
    _locked(sensor, reading)


def test_bme280_and_bmp280_allocate_nothing_on_a_64_bit_host():
    for chip_id in (0x60, 0x58):
        sensor, reading = _bme280(chip_id), Reading()
        assert _cost(sensor, reading) == 0, chip_id
        _locked(sensor, reading)


def test_the_measure_would_see_a_single_object():
    class Wasteful:
        def start(self):
            self.rubbish = [1]

        def finish(self, reading):
            pass

    assert _cost(Wasteful(), Reading()) >= 100 * 32
