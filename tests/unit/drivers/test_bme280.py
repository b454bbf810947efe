import errno

from doubles.bus import FakeBus
from doubles.ticks import Ticks
from drivers.bme280 import BME280, fine_temperature, humidity_trimming, pressure_pa
from drivers.reading import (
    NO_TEMPERATURE,
    Reading,
    SensorAbsent,
    SensorBusError,
    SensorChecksumError,
    SensorError,
    SensorRangeError,
)
from expect import raises
from simulated.bme280 import BME280 as Chip
from simulated.bme280 import BME280_ID, BMP280_ID, EXAMPLE_P, EXAMPLE_T
from simulated.bus import Bus

_ADDRESS = 0x76


class _Air:
    temperature, humidity, pressure = 21.5, 40.0, 100653.0

    def temperature_c(self):
        return self.temperature

    def humidity_percent(self):
        return self.humidity

    def pressure_pa(self):
        return self.pressure


def _simulated(chip_id=BME280_ID, **calibration):
    clock, air, bus = Ticks(), _Air(), Bus()
    chip = Chip(clock, air, chip_id, **calibration)
    bus.attach(_ADDRESS, chip)
    return BME280(bus, _ADDRESS), clock, air, bus, chip


def _measure(sensor, clock, reading):
    sensor.start()
    clock.advance(sensor.CONVERSION_MS)
    sensor.finish(reading)


def _words(values):
    data = bytearray()
    for value in values:
        data += bytes([value & 0xFF, value >> 8 & 0xFF])
    return data


def _pressure_64_bit(p, raw, fine):
    """The 64-bit formula of the data sheet, in 1/256 Pa: what the 32-bit one is measured by."""
    first = fine - 128000
    second = first * first * p[5] + ((first * p[4]) << 17) + (p[3] << 35)
    first = ((first * first * p[2]) >> 8) + ((first * p[1]) << 12)
    first = (((1 << 47) + first) * p[0]) >> 33
    pressure = (((1048576 - raw) << 31) - second) * 3125 // first
    first = (p[8] * (pressure >> 13) * (pressure >> 13)) >> 25
    second = (p[7] * pressure) >> 19
    return ((pressure + first + second) >> 8) + (p[6] << 4)


def test_the_published_temperature():
    fine = fine_temperature(EXAMPLE_T, 519888)
    assert fine == 128422
    assert (fine * 5 + 128) >> 8 == 2508


def test_the_published_pressure():
    fine = fine_temperature(EXAMPLE_T, 519888)
    assert pressure_pa(EXAMPLE_P, 415148, fine) == 100656
    assert _pressure_64_bit(EXAMPLE_P, 415148, fine) // 256 == 100653


def test_the_32_bit_pressure_stays_near_the_64_bit_one():
    for raw_temperature in range(400000, 660001, 20000):
        fine = fine_temperature(EXAMPLE_T, raw_temperature)
        for raw in range(280000, 600001, 20000):
            exact = _pressure_64_bit(EXAMPLE_P, raw, fine) / 256
            if 30000 <= exact <= 110000:
                assert abs(pressure_pa(EXAMPLE_P, raw, fine) - exact) < 8, (raw_temperature, raw)


def test_temperature_arithmetic_fits_a_board_up_to_85_degrees():
    t1, t2, t3 = EXAMPLE_T
    for raw in range(390000, 655000, 500):
        fine = fine_temperature(EXAMPLE_T, raw)
        if -4000 <= (fine * 5 + 128) >> 8 <= 8500:
            distance = (raw >> 4) - t1
            assert abs(((raw >> 3) - (t1 << 1)) * t2) < 1 << 30
            assert abs(distance * distance) < 1 << 30
            assert abs(((distance * distance) >> 12) * t3) < 1 << 30
            assert abs(fine * 5) < 1 << 30


def test_h4_and_h5_are_signed_twelve_bit_values_that_share_a_byte():
    shared = bytes([0x6A, 0x01, 0x00, 0xF3, 0x2C, 0xFE, 0xE2])
    # h4 is 0xf3c, h5 0xfe2
    assert humidity_trimming(75, shared) == (75, 362, 0, -196, -30, -30)


def test_reads_the_simulated_air_over_the_whole_range():
    for chip_id in (BME280_ID, BMP280_ID):
        sensor, clock, air, _, _ = _simulated(chip_id)
        reading = Reading()
        for half_degrees in range(-80, 171):
            air.temperature = half_degrees / 2
            air.humidity = 5 + (half_degrees + 80) * 90 / 250
            air.pressure = 30100 + (half_degrees + 80) * 319
            _measure(sensor, clock, reading)
            assert abs(reading.temperature_centi_c - air.temperature * 100) <= 1
            assert abs(reading.pressure_pa - air.pressure) <= 10
            if chip_id == BME280_ID:
                assert abs(reading.humidity_centi_percent - air.humidity * 100) <= 10
            else:
                assert reading.humidity_centi_percent == -1


def test_other_calibrations_read_true_as_well():
    for t in ((28000, 25900, 50), (26000, 27500, -1100), (29111, 26000, 1000)):
        sensor, clock, air, _, _ = _simulated(t=t, h=(0, 380, 2, -20, -25, -30))
        for air.temperature in (-39.9, -7.3, 0.0, 20.0, 42.0, 84.9):
            reading = Reading()
            _measure(sensor, clock, reading)
            assert abs(reading.temperature_centi_c - air.temperature * 100) <= 1
            assert abs(reading.humidity_centi_percent - 4000) <= 15


def test_bmp280_samples_are_known_and_strangers_are_refused():
    for chip_id, known in ((0x58, 1), (0x56, 1), (0x57, 1), (0x61, 0), (0x00, 0), (0xFF, 0)):
        sensor, clock, _, _, _ = _simulated(chip_id)
        if known:
            _measure(sensor, clock, Reading())
        else:
            with raises(SensorAbsent, "neither"):
                sensor.start()


def test_the_chip_sleeps_between_measurements_with_its_filter_off():
    sensor, clock, _, bus, _ = _simulated()
    bus.writeto_mem(_ADDRESS, 0xF5, b"\x1c")
    _measure(sensor, clock, Reading())
    assert bus.readfrom_mem(_ADDRESS, 0xF4, 1)[0] & 3 == 0
    assert bus.readfrom_mem(_ADDRESS, 0xF5, 1)[0] == 0


def test_too_early_is_refused():
    sensor, clock, _, _, _ = _simulated()
    sensor.start()
    clock.advance(5)
    with raises(SensorBusError, "does not end"):
        sensor.finish(Reading())


def test_finish_without_start_is_refused():
    sensor, _, _, _, _ = _simulated()
    with raises(SensorBusError):
        sensor.finish(Reading())


def test_absent_chip_and_its_return():
    sensor, clock, _, bus, _ = _simulated()
    _measure(sensor, clock, Reading())
    chip = bus.detach(_ADDRESS)
    with raises(SensorAbsent):
        sensor.start()
    bus.attach(_ADDRESS, chip)
    reading = Reading()
    _measure(sensor, clock, reading)
    assert reading.temperature_centi_c == 2150


def test_another_chip_in_its_place_is_identified_anew():
    sensor, clock, air, bus, _ = _simulated()
    _measure(sensor, clock, Reading())
    bus.detach(_ADDRESS)
    with raises(SensorAbsent):
        sensor.start()
    bus.attach(_ADDRESS, Chip(clock, air, BMP280_ID, t=(28000, 25900, 50)))
    reading = Reading()
    _measure(sensor, clock, reading)
    assert abs(reading.temperature_centi_c - 2150) <= 1
    assert reading.humidity_centi_percent == -1


def test_power_lost_during_the_measurement_is_refused():
    sensor, clock, _, _, chip = _simulated()
    sensor.start()
    chip.power_on()
    clock.advance(sensor.CONVERSION_MS)
    with raises(SensorRangeError, "skipped"):
        sensor.finish(Reading())
    _measure(sensor, clock, Reading())


def test_power_lost_between_measurements_does_no_harm():
    sensor, clock, _, _, chip = _simulated()
    _measure(sensor, clock, Reading())
    chip.power_on()
    clock.advance(10)
    _measure(sensor, clock, Reading())


def _wired(data, settings=0x24, humidity_setting=1):
    """A driver that has begun to measure, and a register file that answers `data`."""
    bus = FakeBus(_ADDRESS)
    bus.registers[0xD0] = BME280_ID
    bus.registers[0x88:0xA0] = _words(EXAMPLE_T + EXAMPLE_P)
    bus.registers[0xA1] = 75
    bus.registers[0xE1:0xE8] = bytes([0x6A, 0x01, 0x00, 0x13, 0x29, 0x03, 0x1E])
    sensor = BME280(bus, _ADDRESS)
    sensor.start()
    bus.registers[0xF2] = humidity_setting
    bus.registers[0xF4] = settings
    bus.registers[0xF7:0xFF] = data
    return sensor, bus


_GOOD = bytes([0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x75, 0x30])


def test_the_published_example_through_the_registers():
    sensor, _ = _wired(_GOOD)
    reading = Reading()
    sensor.finish(reading)
    assert (reading.temperature_centi_c, reading.pressure_pa) == (2508, 100656)
    assert 0 < reading.humidity_centi_percent < 10000


def test_skipped_values_are_refused():
    skipped = bytes([0x80, 0x00, 0x00, 0x80, 0x00, 0x00, 0x80, 0x00])
    sensor, _ = _wired(skipped)
    with raises(SensorRangeError):
        sensor.finish(Reading())
    # One channel only: told by its setting, whatever the register holds.
    for settings, humidity_setting in ((0x04, 1), (0x20, 1), (0x24, 0), (0x00, 0)):
        sensor, _ = _wired(_GOOD, settings, humidity_setting)
        with raises(SensorRangeError, "skipped"):
            sensor.finish(Reading())


def test_a_room_at_the_temperature_whose_code_is_80000_is_measured():
    sensor, _ = _wired(bytes([0x65, 0x5A, 0xC0, 0x80, 0x00, 0x00, 0x75, 0x30]))
    reading = Reading()
    sensor.finish(reading)
    assert reading.temperature_centi_c == 2646


def test_values_out_of_range_are_refused():
    cases = (
        bytes([0x65, 0x5A, 0xC0, 0x00, 0x00, 0x00, 0x75, 0x30]),  # far below -40 °C
        bytes([0x65, 0x5A, 0xC0, 0xFF, 0xFF, 0xF0, 0x75, 0x30]),  # far above 85 °C
        bytes([0x00, 0x00, 0x00, 0x7E, 0xED, 0x00, 0x75, 0x30]),  # above 1100 hPa
        bytes([0xFF, 0xFF, 0xF0, 0x7E, 0xED, 0x00, 0x75, 0x30]),  # below 300 hPa
        bytes([0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x00, 0x00]),  # below 0 %
        bytes([0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0xFF, 0xFF]),  # above 100 %
    )
    for data in cases:
        sensor, _ = _wired(data)
        reading = Reading()
        with raises(SensorRangeError):
            sensor.finish(reading)
        assert reading.temperature_centi_c == NO_TEMPERATURE


def test_a_blank_calibration_is_refused():
    for level in (0x00, 0xFF):
        sensor, bus = _wired(_GOOD)
        bus.registers[0x88:0xA2] = bytes([level] * 26)
        bus.fail(0)
        with raises(SensorBusError):
            sensor.start()
        bus.heal()
        with raises(SensorBusError, "calibration"):
            sensor.start()


def test_damaged_on_the_bus():
    # Transfers of the first start(): id, status, sleep, config, calibration twice, humidity's
    # twice, then the two settings; of finish(): state, data twice.
    for transfer in (4, 5, 6, 7, 11, 12):
        sensor, clock, _, bus, _ = _simulated()
        bus.corrupt(transfer, 3, 0x40)
        with raises(SensorChecksumError):
            _measure(sensor, clock, Reading())
        _measure(sensor, clock, Reading())


def test_nack_at_every_transfer_is_an_error_and_the_next_measurement_works():
    for transfer in range(13):
        sensor, clock, _, bus, _ = _simulated()
        reading = Reading()
        bus.nack(transfer)
        with raises(SensorAbsent):
            _measure(sensor, clock, reading)
        assert reading.temperature_centi_c == NO_TEMPERATURE
        clock.advance(20)
        _measure(sensor, clock, reading)
        assert reading.temperature_centi_c == 2150


def test_stuck_bus():
    sensor, clock, _, bus, _ = _simulated()
    _measure(sensor, clock, Reading())
    bus.stick()
    with raises(SensorBusError, "stuck"):
        sensor.start()
    bus.recover()
    _measure(sensor, clock, Reading())


def test_every_oserror_at_every_transfer_is_a_sensor_error():
    for code in (errno.ENODEV, errno.EIO, errno.ETIMEDOUT, 99):
        for transfer in range(3):
            sensor, bus = _wired(_GOOD)
            bus.fail(transfer, code)
            with raises(SensorError):
                sensor.finish(Reading())


def test_a_chip_that_still_starts_is_waited_for():
    """Its trimming values are not yet where they are read from. Source: BME280 §5.4.4."""
    bus = _wired(_GOOD)[1]
    sensor = BME280(bus, _ADDRESS)
    bus.registers[0xF3] = 1
    for _ in range(3):
        with raises(SensorBusError, "still starting"):
            sensor.start()
    bus.registers[0xF3] = 0
    sensor.start()
    bus.registers[0xF2], bus.registers[0xF4] = 1, 0x24
    reading = Reading()
    sensor.finish(reading)
    assert reading.temperature_centi_c == 2508


def test_trimming_by_which_there_is_no_pressure_is_no_division_by_zero():
    bus = _wired(_GOOD)[1]
    bus.registers[0x8E:0x90] = b"\1\0"
    sensor = BME280(bus, _ADDRESS)
    sensor.start()
    bus.registers[0xF2], bus.registers[0xF4] = 1, 0x24
    reading = Reading()
    with raises(SensorRangeError, "0 pascal"):
        sensor.finish(reading)
    assert reading.temperature_centi_c == NO_TEMPERATURE
