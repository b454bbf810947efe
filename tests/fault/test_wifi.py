"""Wi-Fi that comes and goes for a month, under the radio of either port, in virtual time.

What the radios do is what their ports' documentation says: an RP2 gives an attempt up after its
first failure and tells why; an ESP32 tries on by itself and tells nothing, and refuses to connect
while it is connecting.
"""

import importlib.util
import types
from pathlib import Path

import pytest

WIFI = Path(__file__).resolve().parents[2] / "boards" / "shared" / "hardware" / "wifi.py"
DAY_S = 24 * 3600
PERIOD = 1 << 30
REST_S, ATTEMPT_S, SLOWEST_JOIN_S = 15, 40, 10
# RP2: cyw43's; ESP32: ESP-IDF's
IDLE, JOINING, NO_ADDRESS, UP, FAILED, NOT_FOUND, WRONG_PASSWORD = 0, 1, 2, 3, -1, -2, -3
ESP_IDLE, ESP_CONNECTING, ESP_UP = 1000, 1001, 1010
PHASES = ("gone", "no address", "wrong password", "silent")


class Air:
    """What there is to join: `phase` None is an access point that works."""

    def __init__(self, chance):
        self.chance = chance
        self.now_s = 0
        self.phase = None


class Radio:
    """The parts that both ports share. `wlan` is made once, as on a board."""

    def __init__(self, air):
        self.air = air
        self.attempts = 0
        self.is_active = False
        self._ends_s = None

    def active(self, on):
        self.is_active = on

    def disconnect(self):
        self._ends_s = None
        self._leave()

    def connect(self, ssid, password):
        assert self.is_active
        self.attempts += 1
        self._ends_s = self.air.now_s + self.air.chance.randrange(2, SLOWEST_JOIN_S)
        self._begin()

    def isconnected(self):
        return self.status() in (UP, ESP_UP)

    def ifconfig(self):
        return ("192.168.1.9", "255.255.255.0", "192.168.1.1", "192.168.1.1")


class Rp2(Radio):
    BUSY = (JOINING, NO_ADDRESS)
    _status = IDLE

    def _leave(self):
        self._status = IDLE

    def _begin(self):
        self._status = JOINING

    def status(self):
        phase = self.air.phase
        if self._status == UP and phase is not None:
            self._status = FAILED
        elif self._status in self.BUSY and self.air.now_s >= self._ends_s:
            ends = {"gone": NOT_FOUND, "no address": NO_ADDRESS, "wrong password": WRONG_PASSWORD}
            self._status = UP if phase is None else ends.get(phase, JOINING)
        return self._status


class Esp32(Radio):
    BUSY = (ESP_CONNECTING,)
    _status = ESP_IDLE

    def _leave(self):
        self._status = ESP_IDLE

    def _begin(self):
        if self._status == ESP_CONNECTING:
            raise OSError("Wifi Internal State Error")
        if self.air.chance.random() < 0.01:
            raise RuntimeError("Wifi Unknown Error 0x0101")  # no memory for it just now
        self._status = ESP_CONNECTING

    def status(self):
        if self._status == ESP_UP and self.air.phase is not None:
            self._status, self._ends_s = ESP_CONNECTING, self.air.now_s + 5
        elif self._status == ESP_CONNECTING and self.air.now_s >= self._ends_s:
            if self.air.phase is None:
                self._status = ESP_UP
            else:
                self._ends_s = self.air.now_s + 5
        return self._status


def station(air, radio):
    """The board's own, on a clock that wraps as a board's does."""
    spec = importlib.util.spec_from_file_location("wifi_under_test", WIFI)
    module = importlib.util.module_from_spec(spec)
    network = types.SimpleNamespace(WLAN=lambda _: radio, country=lambda _: None)
    network.WLAN.IF_STA = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "network", network)
        spec.loader.exec_module(module)
    half = PERIOD // 2
    module.time = types.SimpleNamespace(
        ticks_ms=lambda: (air.now_s * 1000 + PERIOD - 90_000) % PERIOD,
        ticks_diff=lambda later, earlier: (later - earlier + half) % PERIOD - half,
    )
    found = module.Station({}, radio.BUSY, lambda wlan: None)
    found.join(types.SimpleNamespace(ssid="home", password="secret", country=""))
    return found


@pytest.mark.parametrize("kind", [Rp2, Esp32])
def test_f06_wifi_comes_and_goes(row, chance, full, kind):
    days, flaps = (30, 1000) if full else (3, 100)
    air = Air(chance)
    radio = kind(air)
    wlan = station(air, radio)
    ends = sorted(chance.randrange(1, days * DAY_S) for _ in range(flaps))
    latest_s = stuck = met = 0
    for at_s in ends:
        while air.now_s < at_s:
            air.now_s += 1
            wlan.tend()
        air.phase = chance.choice(PHASES)
        for _ in range(chance.choice((1, 5, 30, 120, chance.randrange(1, 7200)))):
            air.now_s += 1
            wlan.tend()
            assert isinstance(wlan.state(), str)
        met += not wlan.is_up()
        air.phase, returned_s = None, air.now_s
        while not wlan.is_up() and air.now_s - returned_s < 600:
            air.now_s += 1
            wlan.tend()
        latest_s = max(latest_s, air.now_s - returned_s)
        stuck += not wlan.is_up()
    bar_s = ATTEMPT_S + REST_S
    row(
        f"joined again within {bar_s} s of its return, without a restart, every time",
        f"{kind.__name__}: {flaps} flaps in {air.now_s // DAY_S} days, {met} noticed, "
        f"{radio.attempts} attempts: {stuck} stuck, back after {latest_s} s at most",
        stuck == 0 and latest_s <= bar_s and met > flaps // 2,
    )
