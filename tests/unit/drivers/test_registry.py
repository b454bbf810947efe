from doubles.bus import FakeBus
from drivers.bme280 import BME280
from drivers.registry import kinds, open_sensor
from drivers.sht4x import SHT4x
from expect import raises


def test_every_kind_opens_without_touching_the_bus():
    for kind in kinds():
        bus = FakeBus(0x00)
        sensor = open_sensor(kind, bus)
        assert sensor.CONVERSION_MS > 0
        assert bus.transfers == 0


def test_kinds_and_addresses():
    assert kinds() == ["bme280", "bmp280", "sht4x"]
    assert isinstance(open_sensor("sht4x", FakeBus(0x45), 0x45), SHT4x)
    assert isinstance(open_sensor("bmp280", FakeBus(0x77), 0x77), BME280)
    bus = FakeBus(0x77)
    open_sensor("sht4x", FakeBus(0x44)).start()
    bus.registers[0xD0] = 0x58
    bus.registers[0x88] = bus.registers[0x8A] = bus.registers[0x8E] = 1
    open_sensor("bmp280", bus, 0x77).start()


def test_an_unknown_kind_names_the_known_ones():
    with raises(ValueError, "bme280, bmp280, sht4x"):
        open_sensor("dht11", FakeBus(0x00))
