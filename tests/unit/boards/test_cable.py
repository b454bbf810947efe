import errno

from doubles.ticks import Ticks
from expect import raises
from simulated.bus import Bus
from simulated.cable import Remote
from simulated.ds18b20 import DS18B20, Line
from simulated.heater import HeaterPin
from simulated.house_process import answer, serve
from simulated.onewire import OneWire


class Chip:
    """Keeps what is written to it and answers with it, reversed."""

    def __init__(self):
        self.content = b""

    def write(self, data):
        self.content = bytes(data)
        return data[:1] != b"\xff"

    def read_into(self, buffer):
        for at in range(len(buffer)):
            buffer[at] = self.content[-1 - at % len(self.content)]
        return True


class Site:
    def __init__(self):
        self.buses = (Bus(), Bus())
        self.chip = Chip()
        self.buses[0].attach(0x44, self.chip)
        self.pins = (HeaterPin(Ticks()), HeaterPin(Ticks()))
        self.led_on = None
        self.wire = Line()
        self.chip_c = 31.5

    def line(self, number):
        return self.wire

    def chip_temperature(self):
        return self.chip_c

    def bus(self, number):
        return self.buses[number]

    def pin(self, index):
        return self.pins[index]

    def led(self, on):
        self.led_on = on


class Stream:
    """A pipe in memory."""

    def __init__(self):
        self.content = b""

    def write(self, data):
        self.content += bytes(data)

    def read(self, size):
        taken, self.content = self.content[:size], self.content[size:]
        return taken

    def readinto(self, buffer):
        taken = self.read(len(buffer))
        buffer[: len(taken)] = taken


class Answers(Stream):
    """The house answers as soon as somebody wants to read."""

    def __init__(self, site, requests):
        Stream.__init__(self)
        self.site, self.requests = site, requests

    def readinto(self, buffer):
        if not self.content and self.requests.content:
            serve(self.site, self.requests, self)
        Stream.readinto(self, buffer)


def make():
    site, requests = Site(), Stream()
    return site, Remote(requests, Answers(site, requests))


def test_transfers_arrive_as_they_were_made():
    site, remote = make()
    bus = remote.bus(0)
    assert bus.scan() == [0x44]
    assert bus.writeto(0x44, b"\x01\x02\x03") == 3
    assert site.chip.content == b"\x01\x02\x03"
    buffer = bytearray(3)
    bus.readfrom_into(0x44, buffer)
    assert buffer == b"\x03\x02\x01"
    bus.writeto_mem(0x44, 0xF4, b"\x25")
    assert site.chip.content == b"\xf4\x25"
    buffer = bytearray(1)
    bus.readfrom_mem_into(0x44, 0xD0, buffer)
    assert buffer == b"\xd0"


def test_errors_keep_their_number():
    site, remote = make()
    with raises(OSError) as absent:
        remote.bus(1).writeto(0x44, b"\x01")
    assert absent.error.args[0] == errno.ENODEV
    with raises(OSError) as refused:
        remote.bus(0).writeto(0x44, b"\xff")
    assert refused.error.args[0] == errno.EIO
    site.buses[0].stick()
    with raises(OSError) as stuck:
        remote.bus(0).readfrom_into(0x44, bytearray(2))
    assert stuck.error.args[0] == errno.ETIMEDOUT
    remote.bus(0).recover()
    assert remote.bus(0).scan() == [0x44]


def test_after_an_error_the_next_answer_is_its_own():
    _, remote = make()
    for _ in range(3):
        with raises(OSError):
            remote.bus(1).readfrom_into(0x10, bytearray(6))
        assert remote.bus(0).scan() == [0x44]


def test_pins_and_led_follow():
    site, remote = make()
    remote.pin(1).value(1)
    assert (site.pins[0].value(), site.pins[1].value()) == (0, 1)
    assert remote.pin(1).value() == 1
    remote.pin(1).value(0)
    assert site.pins[1].value() == 0
    remote.led(True)
    assert site.led_on
    with raises(IndexError):
        remote.pin(2)
    with raises(ValueError):
        remote.bus(2)


class Air:
    def temperature_c(self):
        return -10.125


def test_one_wire_slots_arrive_as_they_were_made():
    site, remote = make()
    wire = OneWire(remote.line(0))
    assert not wire.reset()
    chip = DS18B20(Ticks(), Air())
    site.wire.chips.append(chip)
    assert wire.scan() == [chip.rom]
    wire.reset()
    wire.write(b"\xcc\x44")
    assert wire.readbit() == 0
    chip._clock.advance(750)
    assert wire.readbit() == 1
    wire.select_rom(chip.rom)
    wire.writebyte(0xBE)
    assert (wire.readbyte(), wire.readbyte()) == (0x5E, 0xFF)
    with raises(ValueError):
        remote.line(1)


def test_the_chips_own_temperature_arrives():
    site, remote = make()
    for site.chip_c in (31.5, -3.25, 0.0):
        assert remote.chip_temperature() == site.chip_c


def test_a_pin_without_a_house_is_off_and_raises_nothing():
    class Broken:
        def write(self, data):
            raise OSError(errno.EIO)

    remote = Remote(Broken(), Stream())
    remote.pin(0).value(1)
    assert not remote.line(0).reset()
    with raises(OSError):
        remote.bus(0).scan()


def test_an_operation_that_does_not_exist_is_refused():
    site, _ = make()
    assert answer(site, b"\x63\x00\x00\x00\x00", Stream()) == bytes((errno.EINVAL, 0))
    assert answer(site, b"\x02\x09\x00\x00\x00", Stream()) == bytes((errno.EINVAL, 0))


def test_a_request_cut_short_ends_the_service():
    site = Site()
    requests, answers = Stream(), Stream()
    requests.write(b"\x01\x00")
    serve(site, requests, answers)
    assert answers.content == b""
