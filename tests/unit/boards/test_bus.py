import errno

from expect import raises
from simulated.bus import Bus


class _Memory:
    """A chip with 256 registers; writes to register 0xFF are not acknowledged."""

    def __init__(self):
        self.registers = bytearray(range(256))
        self.pointer = 0

    def write(self, data):
        if data[0] == 0xFF:
            return False
        self.pointer = data[0]
        for value in data[1:]:
            self.registers[self.pointer] = value
        return True

    def read_into(self, buffer):
        for index in range(len(buffer)):
            buffer[index] = self.registers[self.pointer + index]
        return True


def _wired():
    bus = Bus()
    bus.attach(0x20, _Memory())
    return bus


def _code(error):
    return error.args[0]


def test_the_methods_of_machine_i2c():
    bus = _wired()
    assert bus.scan() == [0x20]
    assert bus.writeto(0x20, b"\x10\x99") == 2
    buffer = bytearray(2)
    bus.readfrom_into(0x20, buffer)
    assert buffer == b"\x99\x11"
    assert bus.readfrom(0x20, 1) == b"\x99"
    bus.writeto_mem(0x20, 0x30, b"\x01")
    bus.readfrom_mem_into(0x20, 0x30, buffer)
    assert buffer == b"\x01\x31"
    assert bus.readfrom_mem(0x20, 0x40, 2) == b"\x40\x41"


def test_nobody_at_the_address():
    bus = _wired()
    calls = (
        lambda: bus.writeto(0x21, b"\x00"),
        lambda: bus.readfrom(0x21, 1),
        lambda: bus.writeto_mem(0x21, 0, b"\x00"),
        lambda: bus.readfrom_mem(0x21, 0, 1),
    )
    for call in calls:
        with raises(OSError) as caught:
            call()
        assert _code(caught.error) == errno.ENODEV


def test_a_byte_that_is_not_acknowledged():
    with raises(OSError) as caught:
        _wired().writeto(0x20, b"\xff")
    assert _code(caught.error) == errno.EIO


def test_nack_at_the_named_transfer_only():
    bus = _wired()
    bus.nack(1)
    bus.readfrom(0x20, 1)
    with raises(OSError) as caught:
        bus.readfrom(0x20, 1)
    assert _code(caught.error) == errno.ENODEV
    bus.readfrom(0x20, 1)


def test_corruption_of_the_named_transfer_only():
    bus = _wired()
    bus.corrupt(1, 1, 0x80)
    assert bus.readfrom_mem(0x20, 0, 2) == b"\x00\x01"
    assert bus.readfrom_mem(0x20, 0, 2) == b"\x00\x81"
    assert bus.readfrom_mem(0x20, 0, 2) == b"\x00\x01"


def test_a_stuck_line_and_nine_clocks():
    for for_good in (False, True):
        bus = _wired()
        bus.stick(for_good)
        assert bus.scan() == []
        with raises(OSError) as caught:
            bus.readfrom(0x20, 1)
        assert _code(caught.error) == errno.ETIMEDOUT
        bus.recover()
        assert bus.scan() == ([] if for_good else [0x20])


def test_detach_and_attach():
    bus = _wired()
    chip = bus.detach(0x20)
    assert bus.scan() == []
    bus.attach(0x21, chip)
    assert bus.scan() == [0x21]
