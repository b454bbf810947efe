import os
import sys
import time

from doubles.udp import Peer, address_of
from expect import raises

# A house of this process's own, wherever board has not been imported before.
# Each of the processes among which tests are divided has its own
_DATA = "build/tests/board-" + (os.getenv("PYTEST_XDIST_WORKER") or sys.implementation.name)


def set_variable(name, value):
    if hasattr(os, "environ"):
        os.environ[name] = value
    else:
        os.putenv(name, value)


set_variable("THERMO_DATA", _DATA)

import board  # noqa: E402
from drivers.reading import Reading  # noqa: E402
from drivers.registry import bus_opener, open_sensor  # noqa: E402


def test_what_the_contract_names():
    names = "NAME i2c relay_pin led button_pressed connect_network network_up resolver watchdog"
    names += " unique_id reset reset_cause free_memory heap_in_use random_below data_path"
    names += " information WATCHDOG_LIMIT_MS one_wire chip_temperature set_time network_state"
    names += " console hold_watchdog"
    for name in names.split():
        assert hasattr(board, name), name


def test_the_operators_keys_are_bytes_where_there_is_an_operator():
    assert board.console() is None
    set_variable("THERMO_CONSOLE", "1")
    try:
        assert board.console() is sys.stdin.buffer
    finally:
        set_variable("THERMO_CONSOLE", "")


def test_relays_are_off():
    for index in (0, 1):
        pin = board.relay_pin(index)
        assert pin.value() == 0
        pin.value(1)
        assert board.relay_pin(index) is pin
        assert pin.value() == 0


def test_random_below_is_even_and_bounded():
    counts = [0] * 3
    for _ in range(3000):
        counts[board.random_below(3)] += 1
    assert min(counts) > 850, counts
    assert board.random_below(1) == 0
    assert 0 <= board.random_below(1 << 29) < 1 << 29
    for n in (0, -1, (1 << 29) + 1):
        with raises(ValueError):
            board.random_below(n)


def test_identity_is_stable():
    first = board.unique_id()
    assert first == board.unique_id()
    assert len(first) == 16


def test_information_names_and_units():
    information = board.information()
    text = "manufacturer model osName processorArchitecture processorManufacturer"
    for name in text.split():
        assert isinstance(information.pop(name), str)
    assert information.pop("totalStorage") > 1000
    assert information.pop("totalMemory") > 0
    assert not information


def test_the_resolver_answers():
    assert board.resolver("127.0.0.1", 8883)
    assert board.resolver("localhost", 8883) == board.resolver("127.0.0.1", 8883)


def test_the_resolver_asks_the_server_it_is_told():
    peer = Peer()
    set_variable("THERMO_DNS", peer.text)
    try:
        assert board.resolver("hub.example", 8883) is None
        query = peer.take()
        address = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"
        peer.send(query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + query[12:] + address)
        found = None
        while found is None:
            found = board.resolver("hub.example", 8883)
        assert found == address_of(8883)
    finally:
        set_variable("THERMO_DNS", "")
        peer.close()


def test_a_watchdog_beyond_what_boards_can_is_refused():
    for timeout_ms in (0, -5, 8389):
        with raises(ValueError, "8388"):
            board.watchdog(timeout_ms)


def test_buses_carry_what_the_contract_says():
    assert board.i2c(0).scan() == [0x44]
    assert board.i2c(1).scan() == [0x76]
    with raises(ValueError):
        board.i2c(2)
    assert [bytes(rom[:7]) for rom in board.one_wire(0).scan()] == [
        b"\x28\x2c\x1b\x5a\x07\x00\x00"
    ]
    with raises(ValueError):
        board.one_wire(1)


def test_asking_for_the_bus_again_frees_it():
    board.i2c(0).stick()
    assert board.i2c(0).scan() == [0x44]


def test_the_sensors_read_the_rooms():
    for kind, bus, room, error in (
        ("sht4x", 0, 0, 2),
        ("bme280", 1, 1, 2),
        ("ds18b20", 0, 1, 5),
        ("chip", 0, 0, 1202),
    ):
        sensor, reading = open_sensor(kind, bus_opener(kind, board)(bus)), Reading()
        sensor.start()
        time.sleep_ms(sensor.CONVERSION_MS)
        sensor.finish(reading)
        truth = board.site.house.air(room).temperature_c()
        assert abs(reading.temperature_centi_c - truth * 100) <= error
