from drivers.chip import Chip
from drivers.reading import NO_TEMPERATURE, Reading, SensorAbsent, SensorRangeError
from expect import raises


def test_it_tells_what_the_chip_says():
    reading = Reading()
    for celsius, centi_c in ((31.456, 3146), (-5.0, -500), (40, 4000)):
        chip = Chip(lambda value=celsius: value)
        chip.start()
        chip.finish(reading)
        assert reading.temperature_centi_c == centi_c


def test_a_chip_without_a_sensor_and_absurd_values():
    def absent():
        raise OSError

    reading = Reading()
    with raises(SensorAbsent):
        Chip(absent).finish(reading)
    for celsius in (-40.1, 125.1, 1e999, 1e999 - 1e999):
        with raises(SensorRangeError):
            Chip(lambda value=celsius: value).finish(reading)
    assert reading.temperature_centi_c == NO_TEMPERATURE
