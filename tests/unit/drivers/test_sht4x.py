import errno

from doubles.bus import FakeBus
from doubles.ticks import Ticks
from drivers.reading import (
    NO_TEMPERATURE,
    Reading,
    SensorAbsent,
    SensorBusError,
    SensorChecksumError,
    SensorError,
    SensorRangeError,
)
from drivers.sht4x import SHT4x, crc8, humidity_centi_percent, temperature_centi_c
from expect import raises
from simulated.bus import Bus
from simulated.sht4x import SHT4x as Chip
from simulated.sht4x import _with_crc

_ADDRESS = 0x44


class _Air:
    def __init__(self, temperature, humidity):
        self.temperature, self.humidity = temperature, humidity

    def temperature_c(self):
        return self.temperature

    def humidity_percent(self):
        return self.humidity


def _word(value):
    data = bytes([value >> 8, value & 0xFF])
    return data + bytes([crc8(data, 0, 2)])


def _answering(temperature_code, humidity_code):
    bus = FakeBus(_ADDRESS, _word(temperature_code) + _word(humidity_code))
    return SHT4x(bus, _ADDRESS)


def _simulated(temperature=21.5, humidity=40.0):
    clock, air, bus = Ticks(), _Air(temperature, humidity), Bus()
    chip = Chip(clock, air)
    bus.attach(_ADDRESS, chip)
    return SHT4x(bus, _ADDRESS), clock, air, bus, chip


def _measure(sensor, clock, reading):
    sensor.start()
    clock.advance(sensor.CONVERSION_MS)
    sensor.finish(reading)


def test_the_published_checksum():
    assert crc8(b"\xbe\xef", 0, 2) == 0x92


def test_conversion_equals_the_data_sheets_formula_rounded():
    for raw in range(0, 65536, 7):
        exact = -4500 + 17500 * raw / 65535
        assert abs(temperature_centi_c(raw) - exact) <= 0.5001, raw
        exact = -600 + 12500 * raw / 65535
        assert abs(humidity_centi_percent(raw) - exact) <= 0.5001, raw


def test_conversion_fits_the_small_ints_of_a_board():
    assert 65535 * 3500 + 6553 < 1 << 30


def test_every_single_and_double_bit_flip_is_refused():
    whole = _word(0x6666) + _word(0x5555)
    bus = FakeBus(_ADDRESS, whole)
    sensor, reading = SHT4x(bus, _ADDRESS), Reading()
    refused = 0
    for first in range(48):
        for second in range(first, 48):
            damaged = bytearray(whole)
            damaged[first >> 3] ^= 1 << (first & 7)
            if second != first:
                damaged[second >> 3] ^= 1 << (second & 7)
            bus.answer = damaged
            with raises(SensorChecksumError):
                sensor.finish(reading)
            refused += 1
    assert refused == 48 + 1128
    assert reading.temperature_centi_c == NO_TEMPERATURE
    bus.answer = whole
    sensor.finish(reading)
    assert reading.temperature_centi_c == 2500


def test_random_frames_are_accepted_only_with_two_valid_checksums():
    bus = FakeBus(_ADDRESS)
    sensor, state, accepted = SHT4x(bus, _ADDRESS), 12345, 0
    for number in range(3000):
        frame = bytearray(6)
        for index in range(6):
            state = (state * 69069 + 1) & 0xFFFFFFFF
            frame[index] = state >> 24
        if number % 3:
            frame[2] = _with_crc(frame[0] << 8 | frame[1])[2]
        if number % 3 == 2:
            frame[5] = _with_crc(frame[3] << 8 | frame[4])[2]
        bus.answer = frame
        valid = _with_crc(frame[0] << 8 | frame[1]) + _with_crc(frame[3] << 8 | frame[4]) == frame
        try:
            sensor.finish(Reading())
            passed = True
        except SensorError as error:
            passed = not isinstance(error, SensorChecksumError)
        assert passed == valid
        accepted += valid
    assert accepted >= 1000


def test_a_line_held_low_or_high_is_refused():
    for level in (0x00, 0xFF):
        bus = FakeBus(_ADDRESS, bytes([level] * 6))
        with raises(SensorChecksumError):
            SHT4x(bus, _ADDRESS).finish(Reading())


def test_temperature_out_of_range_is_refused():
    for code in (0x0000, 0xFFFF, 1600, 64600):
        with raises(SensorRangeError):
            _answering(code, 0x8000).finish(Reading())


def test_humidity_is_cropped_within_tolerance_and_refused_beyond():
    reading = Reading()
    # -4 and 104 %
    _answering(0x6666, 1049).finish(reading)
    assert reading.humidity_centi_percent == 0
    _answering(0x6666, 57670).finish(reading)
    assert reading.humidity_centi_percent == 10000
    for code in (0, 400, 58300, 0xFFFF):
        with raises(SensorRangeError):
            _answering(0x6666, code).finish(Reading())


def test_reads_the_simulated_air_over_the_whole_range():
    sensor, clock, air, _, _ = _simulated()
    reading = Reading()
    for half_degrees in range(-80, 171):
        air.temperature, air.humidity = half_degrees / 2, (half_degrees + 80) * 100 / 250
        _measure(sensor, clock, reading)
        assert abs(reading.temperature_centi_c - air.temperature * 100) <= 1
        assert abs(reading.humidity_centi_percent - air.humidity * 100) <= 1
        assert reading.pressure_pa == -1


def test_too_early_is_absent_and_the_reading_is_left_alone():
    sensor, clock, _, _, _ = _simulated()
    reading = Reading()
    _measure(sensor, clock, reading)
    before = reading.temperature_centi_c
    sensor.start()
    clock.advance(5)
    with raises(SensorAbsent, "0x44"):
        sensor.finish(reading)
    assert reading.temperature_centi_c == before


def test_an_answer_is_given_once():
    sensor, clock, _, _, _ = _simulated()
    _measure(sensor, clock, Reading())
    with raises(SensorAbsent):
        sensor.finish(Reading())


def test_absent_chip():
    with raises(SensorAbsent):
        SHT4x(Bus(), _ADDRESS).start()


def test_nack_at_either_transfer():
    for transfer in (0, 1):
        sensor, clock, _, bus, _ = _simulated()
        bus.nack(transfer)
        with raises(SensorAbsent):
            _measure(sensor, clock, Reading())
        clock.advance(10)
        _measure(sensor, clock, Reading())


def test_stuck_bus_and_its_recovery():
    sensor, clock, _, bus, _ = _simulated()
    bus.stick()
    with raises(SensorBusError, "stuck"):
        sensor.start()
    bus.recover()
    _measure(sensor, clock, Reading())


def test_damaged_on_the_bus():
    for byte in range(6):
        sensor, clock, _, bus, _ = _simulated()
        bus.corrupt(1, byte, 0x10)
        with raises(SensorChecksumError):
            _measure(sensor, clock, Reading())


def test_every_oserror_becomes_a_sensor_error():
    cases = ((errno.ENODEV, SensorAbsent), (errno.EIO, SensorAbsent))
    cases += ((errno.ETIMEDOUT, SensorBusError), (1234, SensorBusError))
    for code, kind in cases:
        bus = FakeBus(_ADDRESS, b"")
        bus.fail(0, code)
        with raises(kind):
            SHT4x(bus, _ADDRESS).start()


def test_a_frozen_chip_repeats_itself():
    sensor, clock, air, _, chip = _simulated(20.0)
    reading = Reading()
    _measure(sensor, clock, reading)
    chip.freeze()
    air.temperature = 30.0
    _measure(sensor, clock, reading)
    assert reading.temperature_centi_c == 2000
