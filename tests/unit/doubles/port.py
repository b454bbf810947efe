"""The modules of an ESP32 or RP2 port, as far as boards use them, errors included.

What they do is taken from MicroPython's ports/esp32, ports/rp2 and extmod. `load` imports a
board's file on a `Chip`; the chip is what outlives a soft reset.
"""

import sys

from doubles.ticks import Ticks

ROOT = __file__.replace("\\", "/").rpartition("/tests/")[0] or "."
EPOCH_2000_S = 946684800
# What every board offers: the table in boards/README.md
CONTRACT = """NAME WATCHDOG_LIMIT_MS data_path i2c relay_pin one_wire led button_pressed
    connect_network network_up network_state resolver clock set_time watchdog hold_watchdog
    unique_id reset reset_cause free_memory heap_in_use random_below chip_temperature console
    information""".split()
_PORT_MODULES = (
    "esp32_port",
    "rp2_port",
    "hardware",
    "hardware.contract",
    "hardware.hold",
    "hardware.i2c",
    "hardware.wifi",
)
RP2 = ("rp2040", "rp2350")
WATCHDOG_CTRL = {"rp2040": 0x40058000, "rp2350": 0x400D8000}
_PINS = {
    "esp32": [n for n in range(40) if n not in (20, 24, 28, 29, 30, 31)],
    "esp32s3": [n for n in range(49) if n not in (22, 23, 24, 25)],
    "esp32c3": list(range(22)),
    "esp32c6": list(range(31)),
    "rp2040": list(range(30)) + ["LED"],
    "rp2350": list(range(30)) + ["LED"],
}
_INPUTS_ONLY = {"esp32": (34, 35, 36, 37, 38, 39)}
# Source: MicroPython's py/mpconfig.h, MICROPY_PY_TIME_TICKS_PERIOD, with small ints of 31 bits
_TICKS_PERIOD = 1 << 30
PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5


class Chip:
    """Pins, watchdog, timers and clock of one chip, and what is wired to it."""

    def __init__(self, kind):
        self.kind = kind
        self.is_rp2 = kind in RP2
        self.events = []  # ("level", pin, level) and ("mode", pin, mode), in order
        self.pins = {}
        self.outside = {}  # pin: level that somebody else holds it at
        self.on_change = None  # (pin, level)
        self.i2c_chips = {}
        self.cause = PWRON
        self.reason = 0  # an RP2's REASON: 1 the watchdog's timer, 2 forced by machine.reset()
        self.was_reset = False
        self.watchdog_ms = None
        self.fed = 0
        self.timers = []
        self.rtc_memory = b"left from before"
        self.rtc_set = None
        self.ticks = Ticks()
        self.epoch_s = 0 if self.is_rp2 else EPOCH_2000_S
        self.wlan = Wlan(self)
        self.bootsel = 0

    def level(self, number):
        """The level on the wire; pulled up when nobody drives it."""
        pin = self.pins.get(number)
        if pin is not None and pin.mode == Pin.OUT:
            return pin.driven
        if pin is not None and pin.mode == Pin.OPEN_DRAIN and not pin.driven:
            return 0
        return self.outside.get(number, 1)

    def run_ms(self, ms):
        """Let time pass for the timers."""
        for timer in list(self.timers):
            timer.run_ms(ms)

    def soft_reset(self):
        """The interpreter starts anew; pins, watchdog and RTC stay as they are."""
        self.timers.clear()
        self.events.clear()
        self.cause = self.cause if self.is_rp2 else SOFT

    def hard_reset(self, cause):
        self.soft_reset()
        self.pins.clear()
        self.watchdog_ms = None
        self.cause = cause


class Pin:
    IN, OUT, OPEN_DRAIN, PULL_UP = 0, 1, 2, 3

    def __init__(self, chip, number):
        self.chip, self.number = chip, number
        self.mode, self.driven = None, 0

    def init(self, mode, pull=None, value=None):
        # The level comes first, so that an output begins with it
        if value is not None:
            self.value(value)
        if mode is not None:
            if self.number in _INPUTS_ONLY.get(self.chip.kind, ()) and mode != Pin.IN:
                raise ValueError("pin can only be input")
            self.mode = mode
            self.chip.events.append(("mode", self.number, mode))

    def value(self, level=None):
        chip = self.chip
        if level is None:
            return chip.level(self.number)
        self.driven = 1 if level else 0
        chip.events.append(("level", self.number, self.driven))
        if chip.on_change:
            chip.on_change(self.number, self.driven)


class PinClass:
    """`machine.Pin`: called, it gives the one object there is for a pin."""

    IN, OUT, OPEN_DRAIN, PULL_UP = Pin.IN, Pin.OUT, Pin.OPEN_DRAIN, Pin.PULL_UP

    def __init__(self, chip):
        self._chip = chip

    def __call__(self, number, mode=None, pull=None, value=None):
        chip = self._chip
        if number not in _PINS[chip.kind]:
            raise ValueError("invalid pin")
        if number not in chip.pins:
            chip.pins[number] = Pin(chip, number)
        if mode is not None or value is not None:
            chip.pins[number].init(mode, pull, value)
        return chip.pins[number]


class Signal:
    def __init__(self, pin, invert=False):
        self.pin, self.invert = pin, invert

    def value(self, level=None):
        if level is None:
            return self.pin.value() ^ self.invert
        self.pin.value((1 if level else 0) ^ self.invert)


class SoftI2C:
    """Takes a stuck SDA for acknowledges and zeros, and tells nobody of data not taken."""

    def __init__(self, scl, sda, freq=400000, timeout=50000):
        self.chip, self.sda = scl.chip, sda
        assert 0 < timeout <= 10000, "a stuck clock would hold everything up"

    def _at(self, address):
        if not self.sda.value():
            return None
        if address not in self.chip.i2c_chips:
            raise OSError(19)
        return self.chip.i2c_chips[address]

    def scan(self):
        return sorted(self.chip.i2c_chips)

    def writeto(self, address, data):
        chip = self._at(address)
        return len(data) if chip is None else chip.write(bytes(data))

    def writevto(self, address, parts):
        return self.writeto(address, b"".join(bytes(part) for part in parts))

    def readfrom(self, address, size):
        chip = self._at(address)
        return bytes(size) if chip is None else chip.read(size)

    def readfrom_into(self, address, buffer):
        buffer[:] = self.readfrom(address, len(buffer))

    def readfrom_mem(self, address, register, size):
        self.writeto(address, bytes([register]))
        return self.readfrom(address, size)

    def readfrom_mem_into(self, address, register, buffer):
        buffer[:] = self.readfrom_mem(address, register, len(buffer))


class Wdt:
    """As on both ports, a second one sets the same hardware anew."""

    chip = None

    def __init__(self, id=0, timeout=5000):
        if self.chip.is_rp2 and timeout > 8388:
            raise ValueError("timeout exceeds 8388")
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        self.chip.watchdog_ms = timeout

    def feed(self):
        self.chip.fed += 1


class Timer:
    ONE_SHOT, PERIODIC = 0, 1
    chip = None

    def __init__(self, id, mode=1, period=-1, callback=None):
        if self.chip.is_rp2 and id != -1:
            raise ValueError("Timer doesn't exist")
        if not self.chip.is_rp2 and not 0 <= id < 2:
            raise ValueError("invalid Timer number")
        self.period, self.callback, self.waited = period, callback, 0
        self.chip.timers.append(self)

    def deinit(self):
        if self in self.chip.timers:
            self.chip.timers.remove(self)

    def run_ms(self, ms):
        self.waited += ms
        while self.waited >= self.period and self in self.chip.timers:
            self.waited -= self.period
            self.callback(self)


class Rtc:
    chip = None

    def datetime(self, when):
        assert len(when) == 8, when
        self.chip.rtc_set = when


class Esp32Rtc(Rtc):
    """Only the ESP32's has memory."""

    def memory(self, data=None):
        if data is None:
            return self.chip.rtc_memory
        self.chip.rtc_memory = bytes(data)


class Adc:
    CORE_TEMP = 4

    def __init__(self, channel):
        assert channel == self.CORE_TEMP

    def read_u16(self):
        return 14021  # 0.706 V: 27 °C


class Registers:
    def __init__(self, chip):
        self.chip = chip

    def __getitem__(self, address):
        if address == WATCHDOG_CTRL[self.chip.kind] + 8:
            return self.chip.reason
        assert address == WATCHDOG_CTRL[self.chip.kind], hex(address)
        # The other bits of CTRL count down and hold the causes that pause it
        return 0x07FFFFFF | (1 << 30 if self.chip.watchdog_ms else 0)


class Wlan:
    """The station. A test sets `outcome`: the status in which an attempt ends."""

    IF_STA, PM_NONE = 0, 16

    def __init__(self, chip):
        self.chip = chip
        self.outcome = None
        self.asked = []
        self.is_active = False
        self.is_connecting = False
        self.options = {}
        self.server = "192.168.1.1"
        self.current = 0 if chip.is_rp2 else 1000
        self.up = 3 if chip.is_rp2 else 1010
        self.joining = 1 if chip.is_rp2 else 1001

    def active(self, on):
        self.is_active = on

    def disconnect(self):
        if not self.is_active and not self.chip.is_rp2:
            raise OSError("Wifi Not Started")
        self.is_connecting = False

    def config(self, **options):
        known = ("pm",) if self.chip.is_rp2 else ("pm", "reconnects")
        for name in options:
            if name not in known:
                raise ValueError("unknown config param")
        self.options.update(options)

    def connect(self, ssid, key=None):
        if self.is_connecting and not self.chip.is_rp2:
            raise OSError("Wifi Internal Error")
        if not self.chip.is_rp2 and not self.options.get("reconnects"):
            self.outcome = self.joining  # for ever: it hides why
        self.asked.append((ssid, key))
        self.is_connecting = True
        self.current = self.joining

    def finish(self, status):
        """The attempt under way ends."""
        self.is_connecting = False
        self.current = self.outcome or status

    def status(self):
        return self.current

    def isconnected(self):
        return self.current == self.up

    def ifconfig(self):
        address = "192.168.1.7" if self.isconnected() else "0.0.0.0"
        return (address, "255.255.255.0", "192.168.1.1", self.server)


class Module:
    """What `import` finds; its attributes are the module's."""

    def __init__(self, **members):
        for name in members:
            setattr(self, name, members[name])


class OneWire:
    def __init__(self, pin):
        self.pin = pin
        pin.init(pin.OPEN_DRAIN, pin.PULL_UP)


class Resolver:
    """In the place of system.names."""

    def __init__(self, servers, random_below):
        self.servers, self.random_below = servers, random_below

    def resolve(self, host, port):
        return (self.servers()[0], port)

    def is_asking(self):
        return False


def resolve(board, host, port):
    """What `board.resolver` answers with the double in the place of system.names."""
    real = sys.modules.get("system.names")
    sys.modules["system.names"] = Module(Resolver=Resolver)
    try:
        return board.resolver(host, port)
    finally:
        sys.modules.pop("system.names", None)
        if real:
            sys.modules["system.names"] = real


class BoardTime:
    """`time` of a port: ticks that tests move and that wrap, gmtime by the port's epoch."""

    def __init__(self, chip):
        self._chip = chip

    def ticks_ms(self):
        return self._chip.ticks.now_ms & (_TICKS_PERIOD - 1)

    def ticks_diff(self, later, earlier):
        half = _TICKS_PERIOD // 2
        return (later - earlier + half & _TICKS_PERIOD - 1) - half

    def sleep_us(self, us):
        assert 0 < us <= 10

    def gmtime(self, seconds):
        import time

        return tuple(time.gmtime(seconds + self._chip.epoch_s))[:8]


def _machine(chip):
    for kind in (Wdt, Timer, Rtc):
        kind.chip = chip

    def reset():
        chip.was_reset = True

    members = {
        "ADC": Adc,
        "Pin": PinClass(chip),
        "RTC": Rtc if chip.is_rp2 else Esp32Rtc,
        "Signal": Signal,
        "SoftI2C": SoftI2C,
        "Timer": Timer,
        "WDT": Wdt,
        "PWRON_RESET": PWRON,
        "WDT_RESET": WDT,
        "reset": reset,
        "reset_cause": lambda: chip.cause,
        "unique_id": lambda: b"\xe6\x61\x00\x0a" + bytes(4 if chip.is_rp2 else 2),
    }
    if chip.is_rp2:
        members["mem32"] = Registers(chip)
    else:
        members.update({"HARD_RESET": HARD, "SOFT_RESET": SOFT, "DEEPSLEEP_RESET": DEEPSLEEP})
    return Module(**members)


def install(chip):
    """Put the chip's modules where `import` finds them, and forget the boards' own."""
    for name in _PORT_MODULES:
        sys.modules.pop(name, None)
    time = BoardTime(chip)
    chip.countries = []
    chip.wlan.is_connecting = False
    sys.modules["machine"] = _machine(chip)
    sys.modules["network"] = Module(WLAN=_WlanClass(chip), country=chip.countries.append)
    sys.modules["onewire"] = Module(OneWire=OneWire)
    sys.modules["rp2"] = Module(bootsel_button=lambda: chip.bootsel)
    if chip.kind == "esp32":
        sys.modules["esp32"] = Module(raw_temperature=lambda: 122)
    else:
        sys.modules["esp32"] = Module(mcu_temperature=lambda: 50)
    return time


class _WlanClass:
    """`network.WLAN`: called, it gives the one station."""

    IF_STA = 0

    def __init__(self, chip):
        self._chip = chip

    def __call__(self, interface):
        assert interface == self.IF_STA
        return self._chip.wlan


class Board:
    """The names of a board's file."""

    def __init__(self, names):
        self.names = names

    def __getattr__(self, name):
        if name not in self.names:
            raise AttributeError(name)
        return self.names[name]


def source_of(board):
    with open("%s/boards/%s/board.py" % (ROOT, board)) as file:
        return file.read()


def port_folders():
    return ["%s/boards/%s" % (ROOT, folder) for folder in ("esp32", "rp2", "shared")]


def load(source, chip):
    """A board's file, imported on `chip` as after a reset."""
    time = install(chip)
    for folder in port_folders():
        if folder not in sys.path:
            sys.path.insert(0, folder)
    names = {"__name__": "board"}
    exec(source, names)
    assert "hardware.wifi" not in sys.modules, "boot.py imports the board: no network yet"
    __import__("hardware.wifi")
    for name in ("hardware.contract", "hardware.i2c", "hardware.wifi"):
        sys.modules[name].time = time
    return Board(names)
