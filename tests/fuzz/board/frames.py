"""Runs on MicroPython: what may arrive from a sensor over a bad cable.

    frames.py sht4x|bme280|ds18b20 COUNT SEED

An input is all that the master reads in one measurement. Shorter, it ends in what the bus makes
of that: an OSError, or on one wire the ones of a line that nobody pulls.
"""

import errno
import sys

from doubles.bus import FakeBus
from doubles.damage import Damage, report
from doubles.ticks import Ticks
from drivers.bme280 import BME280
from drivers.ds18b20 import DS18B20
from drivers.reading import NO_TEMPERATURE, NOT_MEASURED, Reading, SensorError
from drivers.sht4x import SHT4x
from simulated.bme280 import BME280 as BoschChip
from simulated.bme280 import BME280_ID, BMP280_ID
from simulated.bus import Bus
from simulated.onewire import OneWire

TRAPS = [b"\0", b"\xff", b"\x80", b"\x7f", b"\0\0\0", b"\xff\xff\xff", b"\x80\0", b"\x55\xaa"]
CODES = (errno.ENODEV, errno.EIO, errno.ETIMEDOUT, 5000)


def crc_sensirion(data):
    """By the bits, from the data sheet's polynomial: the driver has a CRC of its own."""
    crc = 0xFF
    for byte in data:
        for bit in range(7, -1, -1):
            is_odd = (crc >> 7 ^ byte >> bit) & 1
            crc = (crc << 1 & 0xFF) ^ (0x31 if is_odd else 0)
    return crc


def crc_maxim(data):
    crc = 0
    for byte in data:
        for bit in range(8):
            is_odd = (crc ^ byte >> bit) & 1
            crc = crc >> 1 ^ (0x8C if is_odd else 0)
    return crc


class Frames:
    """Damaged frames; one in three gets its checksums anew, so that its values are looked at.

    Which, and which transfer fails, is in the frame: so that it can be replayed.
    """

    def __init__(self, seeds, marked, sensor):
        self.damage = Damage(seeds, TRAPS)
        self.marked = marked  # a frame with its checksums put right
        self.sensor = sensor
        self.reading = Reading()

    def hear(self, data):
        if sum(data) % 3 == 1:
            data = self.marked(data)
        reading = self.reading
        reading.fill(NO_TEMPERATURE, NOT_MEASURED, NOT_MEASURED)
        self.expect(data)
        try:
            self.sensor.start()
            self.sensor.finish(reading)
        except SensorError as error:
            text = str(error)
            assert self.sensor.name in text, text
            assert reading.temperature_centi_c == NO_TEMPERATURE, "refused, yet filled"
            return False
        found = reading.temperature_centi_c, reading.humidity_centi_percent, reading.pressure_pa
        assert self.is_right(data, *found), found
        return True


class AnswerBus(FakeBus):
    """An answer too short fails in its transfer, and sometimes another one does."""

    def show(self, data):
        self.transfers = 0
        self.fails_at = sum(data) % 61

    def readfrom_into(self, address, buffer):
        if len(self.answer) < len(buffer):
            raise OSError(errno.EIO)
        FakeBus.readfrom_into(self, address, buffer)

    def _transfer(self, address):
        self.transfers += 1
        if self.transfers == self.fails_at:
            raise OSError(CODES[self.fails_at % 4])


class Sensirion(Frames):
    def __init__(self):
        self.bus = AnswerBus(0x44)
        seeds = []
        for temperature, humidity in ((0x6666, 0x8000), (0x1000, 0x0C00), (0xF000, 0xF800)):
            words = [bytes([word >> 8, word & 255]) for word in (temperature, humidity)]
            seeds.append([part for word in words for part in (word, bytes([crc_sensirion(word)]))])
        Frames.__init__(self, seeds, self.mark, SHT4x(self.bus))

    def mark(self, data):
        words = [data[:2], data[3:5]]
        return b"".join([word + bytes([crc_sensirion(word)]) for word in words])

    def expect(self, data):
        self.bus.answer = data
        self.bus.show(data)

    def is_right(self, data, temperature, humidity, pressure):
        if crc_sensirion(data[:2]) != data[2] or crc_sensirion(data[3:5]) != data[5]:
            return False
        celsius = -45 + 175 * (data[0] << 8 | data[1]) / 65535
        if abs(celsius * 100 - temperature) > 1 or pressure != NOT_MEASURED:
            return False
        return -4050 <= temperature <= 12550 and 0 <= humidity <= 10000


class Wire:
    """What the driver asks of a OneWire: it answers `frame`, and behind it ones."""

    crc8 = OneWire.crc8

    def reset(self):
        return sum(self.frame) % 31

    def write(self, data):
        pass

    writebyte = write

    def readinto(self, buffer):
        for at in range(len(buffer)):
            buffer[at] = self.frame[at] if at < len(self.frame) else 0xFF


class Maxim(Frames):
    def __init__(self):
        self.wire = Wire()
        seeds = []
        for head in (b"\x91\x01", b"\x5e\xff", b"\xd0\x07", b"\x90\xfc", b"\x50\x05", b"\0\0"):
            pad = head + b"\x4b\x46\x7f\xff\x0c\x10"
            seeds.append([pad[:1], pad[1:2], pad[2:4], pad[4:5], pad[5:], bytes([crc_maxim(pad)])])
        Frames.__init__(self, seeds, self.mark, DS18B20(self.wire, "28-0000075a1b2c"))

    def mark(self, data):
        data = (data + b"\xff" * 8)[:8]
        return data + bytes([crc_maxim(data)])

    def expect(self, data):
        self.wire.frame = data

    def is_right(self, data, temperature, humidity, pressure):
        data = (data + b"\xff" * 9)[:9]
        if crc_maxim(data[:8]) != data[8] or data[4] & 0x9F != 0x1F or data[:2] == b"\x50\x05":
            return False
        raw = data[0] | data[1] << 8
        celsius = (raw - 0x10000 if raw & 0x8000 else raw) / 16
        tolerated = 52 if data[4] != 0x7F else 1  # at 9 bits the last three say nothing
        if abs(celsius * 100 - temperature) > tolerated:
            return False
        return -5500 <= temperature <= 12500 and humidity == pressure == NOT_MEASURED


# What the driver reads of a BME280: where, and how much. The last three it reads twice
IDENTITY, STATE = (0xD0, 1), (0xF2, 3)
CALIBRATION, SHARED, DATA = (0x88, 26), (0xE1, 7), (0xF7, 8)
PLACES = (IDENTITY, STATE, CALIBRATION, SHARED, DATA)
TWICE = (CALIBRATION, SHARED, DATA)
SIZES = [size for _, size in PLACES + TWICE]


class TwoImages(AnswerBus):
    """Registers that are not the same in each reading: `images` in turn, by register."""

    def turn(self, image, copy):
        self.images = (image, copy)
        self.seen = {}

    def writeto_mem(self, address, register, buffer):
        self._transfer(address)

    def readfrom_mem_into(self, address, register, buffer):
        self._transfer(address)
        turn = self.seen.get(register, 0)
        self.seen[register] = turn + 1
        # The status is asked twice, at the start and in the end, and is the same
        register, skipped = (0xF2, 1) if register == 0xF3 else (register, 0)
        found = self.images[turn & 1].get(register) or self.images[0][register]
        for at in range(len(buffer)):
            buffer[at] = found[at + skipped]


class Bosch(Frames):
    """Both chips. Without a checksum: what is taken was read twice and is the same."""

    def __init__(self):
        self.bus = TwoImages(0x76)
        Frames.__init__(self, [self.seed(BME280_ID), self.seed(BMP280_ID)], self.mark, None)

    def seed(self, chip_id):
        """What the simulated chip shows once it has measured, each place a part."""
        clock, bus = Ticks(), Bus()
        bus.attach(0x76, BoschChip(clock, Room(), chip_id))
        sensor = BME280(bus)
        sensor.start()
        clock.advance(sensor.CONVERSION_MS)
        found = []
        for register, size in PLACES + TWICE:
            found.append(bytearray(size))
            bus.readfrom_mem_into(0x76, register, found[-1])
        return [bytes(each) for each in found]

    def split(self, data):
        pieces, at = [], 0
        data += b"\xff" * (sum(SIZES) - len(data))
        for size in SIZES:
            pieces.append(data[at : at + size])
            at += size
        return pieces

    def mark(self, data):
        """The same both times, and calibrated."""
        pieces = self.split(data)[: len(PLACES)]
        return b"".join(pieces + pieces[2:])

    def expect(self, data):
        self.pieces = self.split(data)
        image = {PLACES[at][0]: self.pieces[at] for at in range(len(PLACES))}
        copy = {TWICE[at][0]: self.pieces[at + len(PLACES)] for at in range(len(TWICE))}
        self.bus.turn(image, copy)
        self.bus.show(data)
        self.sensor = BME280(self.bus)

    def is_right(self, data, temperature, humidity, pressure):
        identity, _, calibration, shared, values = self.pieces[:5]
        is_humid = identity[0] == 0x60
        if not is_humid and identity[0] not in (0x56, 0x57, 0x58):
            return False
        size = 8 if is_humid else 6
        if calibration != self.pieces[5] or values[:size] != self.pieces[7][:size]:
            return False
        if is_humid and shared != self.pieces[6]:
            return False
        if not 0 <= humidity <= 10000 if is_humid else humidity != NOT_MEASURED:
            return False
        return -4050 <= temperature <= 8550 and 30000 <= pressure <= 110000


class Room:
    def temperature_c(self):
        return 21.5

    def humidity_percent(self):
        return 40.0

    def pressure_pa(self):
        return 100653.0


KINDS = {"sht4x": Sensirion, "bme280": Bosch, "ds18b20": Maxim}
report(KINDS[sys.argv[1]](), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
