"""The contract of boards/README.md on every board with a chip, and on the README's example."""

import errno
import sys

from doubles import port
from doubles.port import CONTRACT, HARD, PWRON, SOFT, WDT, Chip
from expect import raises

KINDS = {
    "ESP32_GENERIC": "esp32",
    "ESP32_GENERIC_S3": "esp32s3",
    "ESP32_GENERIC_C3": "esp32c3",
    "RPI_PICO_W": "rp2040",
    "RPI_PICO2_W": "rp2350",
    "ESP32_GENERIC_C6": "esp32c6",
}
# What the chips need for themselves: pins read at reset, flash, PSRAM, USB, the radio
TAKEN = {
    "esp32": (0, 2, 5, 12, 15, 6, 7, 8, 9, 10, 11, 16, 17, 34, 35, 36, 37, 38, 39, 1, 3),
    "esp32s3": (0, 3, 45, 46, 19, 20, 43, 44) + tuple(range(26, 38)),
    "esp32c3": (2, 8, 9, 18, 19, 20, 21) + tuple(range(11, 18)),
    "esp32c6": (4, 5, 8, 9, 15, 12, 13, 16, 17) + tuple(range(24, 31)),
    "rp2040": (23, 24, 25, 29),
    "rp2350": (23, 24, 25, 29),
}
MINUTE_MS = 60000


class Wifi:
    def __init__(self, ssid="house", password="secret", country=""):
        self.ssid, self.password, self.country = ssid, password, country


def readme_example():
    """The sixth board of boards/README.md."""
    with open(port.ROOT + "/boards/README.md") as file:
        text = file.read()
    begin = text.index('```python\n"""') + len("```python\n")
    return text[begin : text.index("```", begin)]


def source_of(name):
    return readme_example() if name == "ESP32_GENERIC_C6" else port.source_of(name)


def each():
    """Every board, freshly switched on: its name, its names, its chip."""
    for name in KINDS:
        chip = Chip(KINDS[name])
        yield name, port.load(source_of(name), chip), chip


def inverted(source):
    """The same board with relay modules that switch on at low level."""
    line = next(line for line in source.split("\n") if line.startswith("RELAYS ="))
    return source.replace(line, line.replace(", 1)", ", 0)"))


def pins_of(board):
    """What a board's file gives to `wire`, by name."""
    contract = sys.modules["hardware.contract"]
    found = {"relay %d" % at: pin for at, (pin, _) in enumerate(board.RELAYS)}
    for bus, (scl, sda) in enumerate(contract._bus_pins):
        found["scl %d" % bus], found["sda %d" % bus] = scl, sda
    found["one-wire"], found["led"] = contract._one_wire_pin, contract._led_pin[0]
    return found


# ---- all of it


def test_what_the_contract_names():
    for name, board, _ in each():
        for word in CONTRACT:
            assert hasattr(board, word), (name, word)
        assert board.NAME == name
        assert board.data_path == ""


def test_the_operators_keys_are_bytes():
    """A text stream waits for the rest of a letter, and everything with it."""
    for _, board, _ in each():
        for stdin in (port.Module(buffer=object()), port.Module()):
            sys.modules["hardware.contract"].sys = port.Module(stdin=stdin)
            assert board.console() is getattr(stdin, "buffer", stdin)


def test_pins_are_the_boards_to_use():
    for name, board, chip in each():
        pins = pins_of(board)
        assert len(set(pins.values())) == len(pins) == 8, (name, pins)
        for what in pins:
            assert pins[what] not in TAKEN[chip.kind], (name, what)
            board_has_it = sys.modules["machine"].Pin(pins[what])
            assert board_has_it


# ---- relays


def assert_off_first(chip, relays):
    """The first thing that happened: each relay's level off, then its pin an output."""
    expected = []
    for pin, on in relays:
        expected += [("level", pin, 1 - on), ("mode", pin, 1)]
    assert chip.events[: len(expected)] == expected, chip.events


def test_relays_are_off_before_anything_else():
    for name in KINDS:
        for source in (source_of(name), inverted(source_of(name))):
            chip = Chip(KINDS[name])
            board = port.load(source, chip)
            assert_off_first(chip, board.RELAYS)
            for index, (pin, on) in enumerate(board.RELAYS):
                assert chip.level(pin) == 1 - on
                relay = board.relay_pin(index)
                relay.value(1)
                assert (chip.level(pin), relay.value()) == (on, 1)
                assert board.relay_pin(index).value() == 0
                assert chip.level(pin) == 1 - on
            with raises(IndexError):
                board.relay_pin(2)


def test_inverting_really_inverts():
    for name in KINDS:
        assert inverted(source_of(name)) != source_of(name), name


def test_relays_are_off_even_if_the_rest_is_missing():
    for name in KINDS:
        chip = Chip(KINDS[name])
        port.install(chip)
        path, sys.path[:] = list(sys.path), ["nowhere"]
        try:
            with raises(ImportError):
                exec(source_of(name), {"__name__": "board"})
        finally:
            sys.path[:] = path
        assert [event[0] for event in chip.events] == ["level", "mode"] * 2, chip.events
        assert not any(chip.level(event[1]) for event in chip.events)


def test_a_soft_reset_switches_off_what_was_on():
    for name, board, chip in each():
        for index in (0, 1):
            board.relay_pin(index).value(1)
        chip.soft_reset()
        board = port.load(source_of(name), chip)
        assert_off_first(chip, board.RELAYS)
        for pin, on in board.RELAYS:
            assert ("level", pin, on) not in chip.events
            assert chip.level(pin) == 1 - on


def test_a_reset_leaves_the_relays_off():
    for _, board, chip in each():
        board.relay_pin(1).value(1)
        board.reset()
        assert chip.was_reset
        assert not any(chip.level(pin) for pin, _ in board.RELAYS)


# ---- I2C and one-wire


class Memory:
    """A chip with registers; it takes `capacity` bytes at once."""

    def __init__(self, capacity=99):
        self.registers = bytearray(range(256))
        self.pointer, self.capacity = 0, capacity

    def write(self, data):
        if data:
            self.pointer = data[0]
        for at, value in enumerate(data[1 : self.capacity]):
            self.registers[self.pointer + at] = value
        return min(len(data), self.capacity)

    def read(self, size):
        return bytes(self.registers[self.pointer : self.pointer + size])


class Cut:
    """A chip that was cut off within a byte: it holds SDA for some more clocks."""

    def __init__(self, chip, scl, sda, clocks):
        self.chip, self.scl, self.sda, self.clocks = chip, scl, sda, clocks
        self.seen = 0
        chip.outside[sda] = 0
        chip.on_change = self.changed

    def changed(self, pin, level):
        if pin == self.scl and level == 0 and self.chip.outside.get(self.sda) == 0:
            self.seen += 1
            if self.seen == self.clocks:
                self.chip.outside[self.sda] = 1


def test_buses_speak_as_machine_i2c():
    for _, board, chip in each():
        chip.i2c_chips[0x44] = Memory()
        for bus in (board.i2c(0), board.i2c(1)):
            assert bus.scan() == [0x44]
            assert bus.writeto(0x44, b"\x10\x99") == 2
            buffer = bytearray(2)
            bus.readfrom_into(0x44, buffer)
            assert buffer == b"\x99\x11"
            assert bus.readfrom(0x44, 1) == b"\x99"
            bus.writeto_mem(0x44, 0x10, b"\x10")
            bus.readfrom_mem_into(0x44, 0x10, buffer)
            assert buffer == b"\x10\x11"
            assert bus.readfrom_mem(0x44, 0x40, 2) == b"\x40\x41"
        assert board.i2c(0) is board.i2c(0)
        for number in (2, -1):
            with raises(ValueError, "0 to 1"):
                board.i2c(number)


def test_a_bus_that_is_free_gets_a_stop_and_no_clocks():
    for _, board, chip in each():
        board.i2c(0)
        scl = sys.modules["hardware.contract"]._bus_pins[0][0]
        assert chip.events.count(("level", scl, 0)) == 1


def test_what_is_not_acknowledged_is_an_error():
    for _, board, chip in each():
        chip.i2c_chips[0x44] = Memory(capacity=1)
        bus = board.i2c(0)
        for call, code in (
            (lambda bus=bus: bus.writeto(0x45, b"\x00"), errno.ENODEV),
            (lambda bus=bus: bus.readfrom(0x45, 1), errno.ENODEV),
            (lambda bus=bus: bus.writeto(0x44, b"\x00\x01"), errno.EIO),
            (lambda bus=bus: bus.writeto_mem(0x44, 0, b"\x01"), errno.EIO),
        ):
            with raises(OSError) as caught:
                call()
            assert caught.error.args[0] == code


def test_a_stuck_line_is_an_error_and_nine_clocks_free_it():
    for name in KINDS:
        for clocks in (1, 5, 9):
            chip = Chip(KINDS[name])
            board = port.load(source_of(name), chip)
            chip.i2c_chips[0x44] = Memory()
            bus = board.i2c(0)
            scl, sda = sys.modules["hardware.contract"]._bus_pins[0]
            cut = Cut(chip, scl, sda, clocks)
            buffer = bytearray(2)
            for call in (
                lambda bus=bus: bus.readfrom(0x44, 2),
                lambda bus=bus, buffer=buffer: bus.readfrom_into(0x44, buffer),
                lambda bus=bus: bus.readfrom_mem(0x44, 0, 2),
                lambda bus=bus, buffer=buffer: bus.readfrom_mem_into(0x44, 0, buffer),
                lambda bus=bus: bus.writeto(0x44, b"\x00"),
                lambda bus=bus: bus.writeto_mem(0x44, 0, b"\x00"),
            ):
                with raises(OSError) as caught:
                    call()
                assert caught.error.args[0] == errno.ETIMEDOUT
            assert bus.scan() == []
            assert board.i2c(0).scan() == [0x44]
            assert cut.seen == clocks
            # It ends with STOP: SDA rises while SCL is high
            assert chip.events[-2:] == [("level", scl, 1), ("level", sda, 1)]


def test_a_line_that_stays_stuck_is_clocked_nine_times():
    for _, board, chip in each():
        board.i2c(0)
        scl, sda = sys.modules["hardware.contract"]._bus_pins[0]
        cut = Cut(chip, scl, sda, 1000)
        with raises(OSError):
            board.i2c(0).readfrom(0x44, 1)
        assert cut.seen == 9 + 1  # and the one before STOP


def test_one_wire():
    for _, board, _ in each():
        wire = board.one_wire(0)
        assert wire.pin.number == sys.modules["hardware.contract"]._one_wire_pin
        with raises(ValueError, "one-wire bus 1"):
            board.one_wire(1)


# ---- LED and button


def test_the_led_is_left_alone_until_it_is_wanted():
    for _, board, chip in each():
        pin, on = sys.modules["hardware.contract"]._led_pin
        assert pin not in chip.pins  # a Pico W would start its radio
        for lit in (False, True, False, 1, 0):
            board.led(lit)
            assert chip.level(pin) == (on if lit else 1 - on)


def test_the_button():
    for name, board, chip in each():
        assert board.button_pressed() is False
        if chip.is_rp2:
            chip.bootsel = 1
        else:
            chip.outside[9 if "_C" in name else 0] = 0
        assert board.button_pressed() is True


# ---- network


def outcomes(chip):
    """Status in which an attempt ends: what it is called."""
    if chip.is_rp2:
        return {-1: "joining failed", -2: "no such network", -3: "wrong password"}
    found = {201: "no such network", 200: "signal lost", 212: "signal too weak"}
    for code in (15, 202, 204):
        found[code] = "wrong password"
    for code in (2, 203):
        found[code] = "refused by the access point"
    found.update({210: "network has other security", 211: "network has weaker security"})
    return found


def test_joining_a_network():
    for _, board, chip in each():
        wlan = chip.wlan
        assert not board.network_up()
        assert board.network_state() == "not started"
        with raises(OSError, "not started"):
            board.resolver("hub", 8883)
        board.connect_network(Wifi(country="DE"))
        assert chip.countries == ["DE"]
        assert wlan.asked == [("house", "secret")]
        assert board.network_state() == "joining"
        assert board.resolver("hub", 8883) is None
        wlan.finish(wlan.up)
        assert board.network_up()
        assert board.network_state() == "joined"
        assert port.resolve(board, "hub", 8883) == ("192.168.1.1", 8883)
        if chip.is_rp2:
            assert wlan.options == {"pm": 16}


def test_a_network_without_a_password_or_a_country():
    for _, board, chip in each():
        board.connect_network(Wifi(password=""))
        assert chip.wlan.asked == [("house", None)]
        assert chip.countries == []


def test_no_network_is_configured():
    for _, board, chip in each():
        board.connect_network(Wifi(ssid=""))
        assert board.network_state() == "no network configured"
        with raises(OSError, "no network configured"):
            board.resolver("hub", 8883)
        assert not chip.wlan.asked


def test_connecting_again_starts_anew():
    for _, board, chip in each():
        board.connect_network(Wifi())
        board.connect_network(Wifi("other", "word"))  # the ESP32 alone would raise
        assert chip.wlan.asked == [("house", "secret"), ("other", "word")]


def test_every_status_has_a_text():
    for name in KINDS:
        kind = KINDS[name]
        for status in outcomes(Chip(kind)):
            chip = Chip(kind)
            board = port.load(source_of(name), chip)
            board.connect_network(Wifi())
            chip.wlan.finish(status)
            text = outcomes(chip)[status]
            assert board.network_state() == text, (name, status)
            with raises(OSError, "no Wi-Fi: " + text):
                board.resolver("hub", 8883)
        chip.wlan.finish(77)
        assert board.network_state() == "failed with status 77"
        if chip.is_rp2:
            chip.wlan.finish(2)
            assert board.network_state() == "joined, no address yet"


def test_a_failed_attempt_is_followed_by_another():
    for _, board, chip in each():
        wlan = chip.wlan
        board.connect_network(Wifi())
        for attempt in range(2, 6):
            failure = min(outcomes(chip))
            wlan.finish(failure)
            chip.ticks.advance(5000)
            with raises(OSError):
                board.resolver("hub", 8883)
            chip.ticks.advance(15000)
            assert board.resolver("hub", 8883) is None
            assert len(wlan.asked) == attempt
            # Until it is known how this one ends, it is told how the last one did
            assert board.network_state() == outcomes(chip)[failure]
        wlan.finish(wlan.up)
        assert board.network_state() == "joined"


def test_a_network_that_was_lost_is_joined_again():
    for _, board, chip in each():
        wlan = chip.wlan
        board.connect_network(Wifi())
        wlan.finish(wlan.up)
        chip.ticks.advance(MINUTE_MS)
        wlan.finish(0 if chip.is_rp2 else 200)
        assert not board.network_up()
        assert len(wlan.asked) == 2  # asking for it is enough
        assert board.resolver("hub", 8883) is None


def test_a_network_that_was_up_for_days_is_joined_again():
    """Ticks wrap after 12.4 days, and tell no more than 6.2 apart; nobody need have asked."""
    for days in (1, 7, 8, 12, 20):
        for hours in (1, 24 * days):
            for name, board, chip in each():
                wlan = chip.wlan
                board.connect_network(Wifi())
                wlan.finish(wlan.up)
                for _ in range(24 * days // hours):
                    chip.ticks.advance(60 * MINUTE_MS * hours)
                    if hours == 1:
                        assert board.network_up()
                wlan.finish(0 if chip.is_rp2 else 200)
                for _ in range(60):
                    board.network_up()
                    chip.ticks.advance(1000)
                # A second attempt if the first leads nowhere
                assert len(wlan.asked) in (2, 3), (name, days, wlan.asked)


def test_an_attempt_that_leads_nowhere_is_given_up():
    for _, board, chip in each():
        board.connect_network(Wifi())
        if chip.is_rp2:
            chip.wlan.finish(2)
        for _ in range(10):
            assert board.resolver("hub", 8883) is None
            chip.ticks.advance(10000)
        assert len(chip.wlan.asked) == 3


def test_without_a_name_server():
    for _, board, chip in each():
        board.connect_network(Wifi())
        chip.wlan.finish(chip.wlan.up)
        chip.wlan.server = "0.0.0.0"
        with raises(IndexError):  # the double asks for the first
            port.resolve(board, "hub", 8883)


def test_what_the_driver_refuses_is_told_and_tried_again():
    class Broken:
        error = OSError()

        def active(self, on):
            raise self.error

        def isconnected(self):
            return False

    for _, board, chip in each():
        wlan, chip.wlan = chip.wlan, Broken()
        for error in (OSError("WiFi Out of Memory"), RuntimeError("Wifi Unknown Error 0x3001")):
            chip.wlan.error = error
            board.connect_network(Wifi())
            assert str(error) in board.network_state()
            with raises(OSError, str(error)):
                board.resolver("hub", 8883)
        assert not board.network_up()
        chip.wlan = wlan
        chip.ticks.advance(20000)
        assert not board.network_up()
        assert wlan.asked == [("house", "secret")]
        assert str(error) in board.network_state()  # until it is known how this one ends
        wlan.finish(wlan.up)
        assert board.network_up()


# ---- clock and watchdog


def test_the_clock_is_set_by_the_boards_epoch():
    for _, board, chip in each():
        board.set_time(1700000000)
        year, month, day, weekday, hour, minute, second, _ = chip.rtc_set
        assert (year, month, day, hour, minute, second) == (2023, 11, 14, 22, 13, 20)
        assert weekday == 1  # a Tuesday


def test_the_epochs_differ():
    epochs = [chip.epoch_s for _, _, chip in each()]
    assert 0 in epochs and port.EPOCH_2000_S in epochs


def test_the_watchdog_stays_within_every_chips_limit():
    for _, board, chip in each():
        assert board.WATCHDOG_LIMIT_MS == 8388
        for timeout_ms in (0, -5, 8389, 60000):
            with raises(ValueError, "1..8388"):
                board.watchdog(timeout_ms)
        assert chip.watchdog_ms is None
        for timeout_ms in (1, 8388, 8000):
            board.watchdog(timeout_ms).feed()
            assert chip.watchdog_ms == timeout_ms
        assert chip.fed == 3


def test_nothing_is_held_where_nothing_is_armed():
    for _, board, chip in each():
        board.hold_watchdog(10 * MINUTE_MS)
        assert chip.watchdog_ms is None
        assert not chip.timers


def test_an_armed_watchdog_is_held_for_so_long_and_no_longer():
    for _, board, chip in each():
        board.watchdog(8000)
        board.hold_watchdog(MINUTE_MS)
        assert chip.fed == 1
        fed = 0
        for _ in range(30):
            chip.run_ms(2000)
            assert chip.fed > fed
            fed = chip.fed
        chip.run_ms(MINUTE_MS)
        assert chip.fed == fed
        assert not chip.timers


def test_a_soft_reset_leaves_it_armed_and_it_is_held_all_the_same():
    for name, board, chip in each():
        board.watchdog(2000)
        chip.soft_reset()
        board = port.load(source_of(name), chip)
        board.hold_watchdog(MINUTE_MS)
        fed = chip.fed
        chip.run_ms(1999)
        assert chip.fed > fed
        # The app starts again: it feeds for itself, and a hang of it must bite
        dog = board.watchdog(2000)
        fed = chip.fed
        chip.run_ms(MINUTE_MS)
        assert chip.fed == fed
        assert chip.watchdog_ms == 2000
        dog.feed()


def test_a_hard_reset_disarms_and_nothing_is_held():
    for name, board, chip in each():
        board.watchdog(2000)
        chip.hard_reset(WDT if chip.is_rp2 else HARD)
        port.load(source_of(name), chip).hold_watchdog(MINUTE_MS)
        assert not chip.timers
        chip.soft_reset()
        port.load(source_of(name), chip).hold_watchdog(MINUTE_MS)
        assert not chip.timers
        assert chip.watchdog_ms is None


def test_holding_again_begins_anew():
    for _, board, chip in each():
        board.watchdog(8000)
        board.hold_watchdog(MINUTE_MS)
        board.hold_watchdog(5000)
        assert len(chip.timers) == 1
        chip.run_ms(6000)
        assert not chip.timers


# ---- the board itself


def test_reset_causes():
    for _, board, chip in each():
        causes = {PWRON: "power_on", WDT: "watchdog", 0: "unknown", 99: "unknown"}
        if not chip.is_rp2:
            causes.update({HARD: "software", SOFT: "software", 4: "unknown"})
        for cause in causes:
            chip.cause = cause
            chip.reason = 1 if cause == WDT else 0
            assert board.reset_cause() == causes[cause]


def test_an_ordered_reset_is_not_taken_for_the_watchdogs():
    for _, board, chip in each():
        chip.cause = WDT
        for reason, cause in ((1, "watchdog"), (2, "software"), (3, "watchdog")):
            chip.reason = reason
            assert board.reset_cause() == (cause if chip.is_rp2 else "watchdog")


def test_identity():
    for _, board, chip in each():
        assert board.unique_id() == "e661000a" + ("00000000" if chip.is_rp2 else "0000")


def test_the_chips_temperature_is_in_celsius():
    for _, board, chip in each():
        expected = 27 if chip.is_rp2 else 50
        found = board.chip_temperature()
        assert isinstance(found, float)
        assert abs(found - expected) < 0.1, (board.NAME, found)


def test_a_chip_without_a_sensor():
    board = port.load(source_of("ESP32_GENERIC"), Chip("esp32"))
    del sys.modules["esp32"].raw_temperature
    with raises(OSError):
        board.chip_temperature()


def test_information():
    for _, board, _ in each():
        found = board.information()
        for name in "manufacturer model osName processorArchitecture".split():
            assert found.pop(name), name
        assert found.pop("processorManufacturer") in ("Espressif", "Raspberry Pi")
        assert found.pop("totalStorage") > 0
        assert found.pop("totalMemory") > 0
        assert not found
        assert "system.description" not in sys.modules


def test_random_below_and_heap():
    for _, board, _ in each():
        counts = [0] * 3
        for _ in range(300):
            counts[board.random_below(3)] += 1
        assert min(counts) > 50, counts
        with raises(ValueError):
            board.random_below(0)
        assert board.free_memory() > 0
        assert board.heap_in_use() > 0


def test_the_clock_is_systems():
    for _, board, _ in each():
        assert board.clock().ticks_ms() >= 0
