from doubles.pin import FakePin
from drivers.relay import Relay


def test_off_from_construction_on():
    pin = FakePin(1)
    relay = Relay(pin)
    assert pin.level == 0
    assert not relay.is_on


def test_on_and_off():
    pin = FakePin()
    relay = Relay(pin)
    relay.on()
    assert (pin.level, relay.is_on) == (1, True)
    relay.off()
    assert (pin.level, relay.is_on) == (0, False)


def test_a_module_that_switches_on_at_level_0():
    pin = FakePin(0)
    relay = Relay(pin, active_high=False)
    assert (pin.level, relay.is_on) == (1, False)
    relay.on()
    assert (pin.level, relay.is_on) == (0, True)
    relay.off()
    assert pin.levels == [1, 0, 1]
