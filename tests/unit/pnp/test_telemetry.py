"""Telemetry as text: scaled integers, left-out values, the component's topic."""

import json

from doubles.appliance import Bench
from doubles.session import FakeSession
from expect import raises
from pnp.telemetry import Telemetry, write_number


def number(scaled, decimals):
    buffer = bytearray(32)
    end = write_number(scaled, decimals, buffer, 0)
    assert bytes(buffer[end:]) == bytes(32 - end), "written past its end"
    return bytes(buffer[:end]).decode()


def test_numbers_are_written_as_people_write_them():
    for scaled, decimals, text in (
        (0, 0, "0"),
        (0, 2, "0"),
        (2150, 2, "21.5"),
        (2100, 2, "21"),
        (2105, 2, "21.05"),
        (-5, 2, "-0.05"),
        (-50, 2, "-0.5"),
        (-100, 2, "-1"),
        (5, 2, "0.05"),
        (10, 2, "0.1"),
        (1, 3, "0.001"),
        (-1234, 2, "-12.34"),
        (101325, 0, "101325"),
        (-40, 0, "-40"),
        ((1 << 30) - 1, 0, "1073741823"),
        (-(1 << 30), 4, "-107374.1824"),
        ((1 << 62), 2, "46116860184273879.04"),
    ):
        assert number(scaled, decimals) == text, (scaled, decimals)


def test_every_temperature_reads_back_as_itself():
    for centi_c in range(-5500, 12600, 7):
        assert round(json.loads(number(centi_c, 2)) * 100) == centi_c


def controller():
    bench = Bench()
    interface = bench.device.component("thermostat1").interface
    interface.telemetry["humidity"] = "double"
    interface.telemetry["heating"] = "integer"
    return bench


def test_one_message_holds_the_components_values():
    session = FakeSession()
    telemetry = Telemetry(
        session,
        controller().device.component("thermostat1"),
        ("temperature", "humidity", "heating"),
        (2, 2, 0),
    )
    telemetry.values[0] = 2150
    telemetry.values[1] = 4500
    telemetry.values[2] = 1
    assert telemetry.send() is True
    assert session.text() == '{"temperature":21.5,"humidity":45,"heating":1}'
    assert session.topic == b"topic of thermostat1"


def test_values_that_are_none_are_left_out():
    session = FakeSession()
    names = ("temperature", "humidity", "heating")
    telemetry = Telemetry(session, controller().device.component("thermostat1"), names, (2, 2, 0))
    assert telemetry.send() is False
    assert session.sent == 0
    for given in ((0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)):
        for i in range(3):
            telemetry.values[i] = -i if i in given else None
        telemetry.send()
        assert sorted(session.value()) == sorted([names[i] for i in given])


def test_the_root_has_its_own_topic():
    session = FakeSession()
    telemetry = Telemetry(session, Bench().device.component(), ("workingSet",), (1,))
    telemetry.values[0] = 1285
    assert telemetry.send()
    assert session.text() == '{"workingSet":128.5}'
    assert session.topic == b"topic of "


def test_a_full_outbox_is_told():
    session = FakeSession()
    session.takes = False
    telemetry = Telemetry(session, Bench().device.component(), ("workingSet",), (0,))
    telemetry.values[0] = 1
    assert telemetry.send() is False


def test_the_largest_values_fit_the_buffer():
    session = FakeSession()
    telemetry = Telemetry(session, Bench().device.component(), ("workingSet",), (2,))
    telemetry.values[0] = -(1 << 63)
    assert telemetry.send()
    assert session.value() == {"workingSet": -92233720368547758.08}


def test_names_come_from_the_model():
    with raises(AssertionError, "no telemetry noise"):
        Telemetry(FakeSession(), Bench().device.component(), ("noise",), (0,))
