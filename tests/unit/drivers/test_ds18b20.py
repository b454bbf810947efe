"""The driver against the simulated chip, slot by slot, with the data sheet's own values."""

from doubles.ticks import Ticks
from drivers.ds18b20 import DS18B20
from drivers.reading import (
    NO_TEMPERATURE,
    NOT_MEASURED,
    Reading,
    SensorAbsent,
    SensorBusError,
    SensorChecksumError,
    SensorError,
    SensorRangeError,
)
from expect import raises
from simulated.ds18b20 import DS18B20 as Chip
from simulated.ds18b20 import Line, with_crc
from simulated.onewire import OneWire, OneWireError

# Source: DS18B20 data sheet, table 1, "Temperature/data relationship"
TABLE_1 = (
    (125.0, 0x07D0, 12500),
    (25.0625, 0x0191, 2506),
    (10.125, 0x00A2, 1013),
    (0.5, 0x0008, 50),
    (0.0, 0x0000, 0),
    (-0.5, 0xFFF8, -50),
    (-10.125, 0xFF5E, -1012),
    (-25.0625, 0xFE6F, -2506),
    (-55.0, 0xFC90, -5500),
)
FIRST = "28-00000075a1b2"
SECOND = "28-0000075a1b2c"


class Air:
    def __init__(self, temperature=21.5):
        self.temperature = temperature

    def temperature_c(self):
        return self.temperature


class Bench:
    def __init__(self, address=None, parasite=False):
        self.clock, self.air, self.line = Ticks(), Air(), Line()
        self.chip = Chip(self.clock, self.air, parasite=parasite)
        self.line.chips.append(self.chip)
        self.wire = OneWire(self.line)
        self.reading = Reading()
        self.sensor = DS18B20(self.wire, address)

    def measure(self):
        self.sensor.start()
        self.clock.advance(self.sensor.CONVERSION_MS)
        self.sensor.finish(self.reading)
        return self.reading.temperature_centi_c

    def scratchpad(self):
        self.wire.reset()
        self.wire.write(b"\xcc\xbe")
        pad = bytearray(9)
        self.wire.readinto(pad)
        return pad

    def configure(self, resolution):
        self.wire.reset()
        self.wire.write(bytes([0xCC, 0x4E, 0x4B, 0x46, resolution << 5 | 0x1F]))


def test_the_data_sheets_values():
    bench = Bench()
    for celsius, code, centi_c in TABLE_1:
        bench.air.temperature = celsius
        assert bench.measure() == centi_c
        pad = bench.scratchpad()
        assert pad[1] << 8 | pad[0] == code
    assert bench.reading.humidity_centi_percent == NOT_MEASURED


def test_the_published_checksum():
    # Source: Maxim application note 27, "Example calculation for DOW CRC"
    assert with_crc(b"\x02\x1c\xb8\x01\x00\x00\x00")[7] == 0xA2


def test_85_degrees_are_what_an_unasked_chip_says():
    bench = Bench()
    pad = bench.scratchpad()
    assert pad[1] << 8 | pad[0] == 0x0550
    with raises(SensorRangeError, "not measured"):
        bench.sensor.finish(bench.reading)
    assert bench.measure() == 2150
    # It loses its power in the middle
    bench.sensor.start()
    bench.chip.power_on()
    with raises(SensorRangeError):
        bench.sensor.finish(bench.reading)
    assert bench.reading.temperature_centi_c == 2150
    for celsius in (84.9375, 85.0625):
        bench.air.temperature = celsius
        assert abs(bench.measure() - celsius * 100) <= 1


def test_on_parasite_power_it_says_what_to_look_at():
    bench = Bench(parasite=True)
    with raises(SensorRangeError, "VDD"):
        bench.measure()


def test_it_takes_three_quarters_of_a_second():
    bench = Bench()
    bench.measure()
    bench.air.temperature = 22.5
    bench.sensor.start()
    for ms, bit in ((0, 0), (749, 0), (1, 1)):
        bench.clock.advance(ms)
        assert bench.wire.readbit() == bit
    bench.sensor.finish(bench.reading)
    assert bench.reading.temperature_centi_c == 2250


def test_lower_resolutions_have_fewer_bits():
    bench = Bench()
    bench.air.temperature = 20.9375
    for resolution, centi_c in ((3, 2094), (2, 2088), (1, 2075), (0, 2050)):
        bench.configure(resolution)
        assert bench.measure() == centi_c


def test_undefined_bits_do_not_count():
    bench = Bench()
    for resolution, centi_c in ((0, 2050), (1, 2075), (2, 2088), (3, 2094)):
        bench.chip._store(bytes([0x4F, 0x01, 0, 0, resolution << 5 | 0x1F, 0, 0, 0]))
        bench.sensor.finish(bench.reading)
        assert bench.reading.temperature_centi_c == centi_c


def test_nobody_on_the_wire():
    bench = Bench()
    bench.line.chips.remove(bench.chip)
    with raises(SensorAbsent, "nothing is on the wire"):
        bench.sensor.start()
    with raises(SensorAbsent):
        bench.sensor.finish(bench.reading)
    bench.line.chips.append(bench.chip)
    assert bench.measure() == 2150


def test_a_line_held_low_is_not_zero_degrees():
    bench = Bench()
    bench.line.stick()
    bench.sensor.start()
    with raises(SensorBusError, "held low"):
        bench.sensor.finish(bench.reading)
    assert bench.reading.temperature_centi_c == NO_TEMPERATURE
    bench.line.stick(False)
    assert bench.measure() == 2150


def test_every_flipped_bit_is_refused():
    bench = Bench()
    bench.measure()
    for bit in range(72):
        bench.line.flip(16 + bit)
        with raises(SensorChecksumError):
            bench.sensor.finish(bench.reading)
    assert bench.measure() == 2150


def test_a_command_that_was_damaged_gives_no_wrong_value():
    for slot in range(16):
        bench = Bench()
        bench.measure()
        bench.line.flip(slot)  # the master does not see it; the chip must not misread either
        assert bench.measure() == 2150


def test_addresses_tell_two_on_one_wire():
    bench = Bench(SECOND)
    other = Chip(bench.clock, Air(5.0), 0x75A1B2)
    bench.line.chips.append(other)
    assert bench.measure() == 2150
    bench.sensor = DS18B20(bench.wire, FIRST)
    assert bench.measure() == 500
    # Without an address both speak at once
    bench.sensor = DS18B20(bench.wire)
    with raises(SensorChecksumError, "addresses"):
        bench.measure()
    bench.sensor = DS18B20(bench.wire, "28-000000000001")
    with raises(SensorAbsent, "28-000000000001: does not answer"):
        bench.measure()


def test_all_numbers_on_the_wire_are_found():
    line, serials = Line(), (0x75A1B2, 0x0000075A1B2C, 1, 2, 3, 0xFFFFFFFFFFFF)
    assert OneWire(line).scan() == []
    for serial in serials:
        line.chips.append(Chip(Ticks(), Air(), serial))
    wire = OneWire(line)
    found = wire.scan()
    assert sorted(bytes(rom) for rom in found) == sorted(chip.rom for chip in line.chips)
    names = ["28-" + bytes(reversed(rom[1:7])).hex() for rom in found]
    assert SECOND in names and FIRST in names
    for rom in found:
        assert wire.crc8(rom) == 0
        wire.select_rom(rom)
        wire.writebyte(0xBE)
        assert wire.readbyte() == 0x50


def test_the_stand_in_answers_as_the_module_of_the_boards():
    line = Line()
    wire = OneWire(line)
    assert not wire.reset()
    with raises(OneWireError):
        wire.reset(True)
    chip = Chip(Ticks(), Air())
    line.chips.append(chip)
    assert wire.reset(True)
    wire.writebyte(0x33)
    rom = bytearray(8)
    wire.readinto(rom)
    assert rom == chip.rom
    for parasite in (False, True):
        line.chips[:] = [Chip(Ticks(), Air(), parasite=parasite)]
        wire.reset()
        wire.write(b"\xcc\xb4")
        assert wire.readbit() == (0 if parasite else 1)


def test_noise_is_refused_or_in_range():
    """Scratchpads of chance, half of them with a valid CRC."""
    bench, state, taken = Bench(), 1, 0
    for number in range(2000):
        pad = bytearray(9)
        for at in range(9):
            state = (state * 69069 + 1) & 0xFFFFFFFF
            pad[at] = state >> 24
        if number % 2:
            pad[4] = pad[4] & 0x60 | 0x1F
            pad = with_crc(pad[:8])
        bench.chip._pad = pad
        try:
            bench.sensor.finish(bench.reading)
            taken += 1
            assert -5500 <= bench.reading.temperature_centi_c <= 12500
        except SensorError:
            pass
    assert taken > 10
