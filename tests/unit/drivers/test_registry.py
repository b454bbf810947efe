from doubles.bus import FakeBus
from doubles.ticks import Ticks
from drivers.bme280 import BME280
from drivers.reading import NOT_MEASURED, Reading
from drivers.registry import bus_opener, kinds, open_sensor
from drivers.sht4x import SHT4x
from expect import raises
from simulated.bme280 import BME280 as Chip
from simulated.bme280 import BME280_ID, BMP280_ID
from simulated.bus import Bus


class Air:
    def temperature_c(self):
        return 21.5

    def humidity_percent(self):
        return 40.0

    def pressure_pa(self):
        return 101325.0


def test_every_kind_opens_without_touching_the_bus():
    for kind in kinds():
        bus = FakeBus(0x00)
        sensor = open_sensor(kind, bus)
        assert 0 < sensor.CONVERSION_MS <= 751  # what thermostat/settings counts on
        assert bus.transfers == 0


def test_kinds_and_addresses():
    assert kinds() == ["bme280", "bmp280", "chip", "ds18b20", "sht4x"]
    assert isinstance(open_sensor("sht4x", FakeBus(0x45), 0x45), SHT4x)
    assert isinstance(open_sensor("bmp280", FakeBus(0x77), 0x77), BME280)
    bus = FakeBus(0x77)
    open_sensor("sht4x", FakeBus(0x44)).start()
    bus.registers[0xD0] = 0x58
    bus.registers[0x88] = bus.registers[0x8A] = bus.registers[0x8E] = 1
    open_sensor("bmp280", bus, 0x77).start()


def test_an_unknown_kind_names_the_known_ones():
    with raises(ValueError, "bme280, bmp280, chip, ds18b20, sht4x"):
        open_sensor("dht11", FakeBus(0x00))


def test_either_bosch_chip_goes_by_either_name():
    for kind in ("bme280", "bmp280"):
        for chip_id, has_humidity in ((BME280_ID, True), (BMP280_ID, False)):
            clock, bus, reading = Ticks(), Bus(), Reading()
            bus.attach(0x76, Chip(clock, Air(), chip_id))
            clock.advance(10)
            sensor = open_sensor(kind, bus)
            sensor.start()
            clock.advance(sensor.CONVERSION_MS)
            sensor.finish(reading)
            assert abs(reading.temperature_centi_c - 2150) <= 1
            assert (reading.humidity_centi_percent != NOT_MEASURED) == has_humidity


def test_each_kind_is_opened_on_what_the_board_has_it_on():
    class Board:
        def i2c(self, bus):
            return ("i2c", bus)

        def one_wire(self, bus):
            return ("one_wire", bus)

        def chip_temperature(self):
            return 30.0

    board = Board()
    for kind in kinds():
        opened = bus_opener(kind, board)(1)
        if kind == "chip":
            assert opened() == 30.0
        else:
            assert opened == ("one_wire" if kind == "ds18b20" else "i2c", 1)
