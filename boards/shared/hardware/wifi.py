"""Joins a Wi-Fi network and stays in it. Nothing here waits.

What the ports disagree about (status codes, what has to be said before `connect`) is handed in.
Neither port can be left alone: RP2 gives up after the first failure, and the ESP32, left to try
for ever, never tells why it fails. So an attempt is limited, and `tend` begins the next one.
"""

import time

import network
from micropython import const

# An access point that restarts is back after a minute; more attempts only fill the air
_REST_MS = const(15000)
# Scan, password and DHCP take up to ten seconds on a weak signal
_ATTEMPT_MS = const(40000)
_NO_ADDRESS = const("0.0.0.0")


class Station:
    """`texts`: what each status means, for people; `busy`: those of an attempt that goes on.

    `prepare(wlan)` is called, with the interface active, before each attempt. Nothing here
    raises: what the driver refuses is told by `state`, and tried again.
    """

    def __init__(self, texts, busy, prepare):
        self._texts = texts
        self._busy = busy
        self._prepare = prepare
        self._wlan = None
        self._settings = None
        self._refused = ""  # what the driver said when an attempt did not even begin
        self._failure = ""  # how the attempt before this one ended
        self._began = 0

    def join(self, settings):
        """Begin to join `settings.ssid`, anew if it was begun before."""
        self._settings = settings if settings.ssid else None
        self._failure = ""
        if self._settings:
            self._begin()

    def tend(self):
        """Begin anew when the last attempt has failed, or leads nowhere."""
        if self._settings is None or self.is_up():
            return
        # Below 0 it is more than six days: the network was up, and ticks tell no more
        waited = time.ticks_diff(time.ticks_ms(), self._began)
        if not 0 <= waited < (_ATTEMPT_MS if self.is_joining() else _REST_MS):
            self._failure = self._text()
            self._begin()

    def is_up(self):
        return self._wlan is not None and self._wlan.isconnected()

    def is_joining(self):
        begun = self._settings is not None and not self._refused
        return begun and self._wlan.status() in self._busy

    def state(self):
        """For people. Why the last attempt failed is told while the next one goes on."""
        if self._settings is None:
            return "no network configured"
        if self._failure and self.is_joining():
            return self._failure
        return self._text()

    def name_servers(self):
        """Addresses of DNS servers; none without a network."""
        server = self._wlan.ifconfig()[3] if self.is_up() else _NO_ADDRESS
        return () if server == _NO_ADDRESS else (server,)

    def _text(self):
        if self._refused:
            return self._refused
        status = self._wlan.status()
        return self._texts.get(status) or "failed with status %d" % status

    def _begin(self):
        self._began = time.ticks_ms()
        self._refused = ""
        try:
            self._connect()
        except (OSError, RuntimeError) as error:  # both are the ESP32's
            self._refused = "the radio's driver says: %s" % error

    def _connect(self):
        settings = self._settings
        if settings.country:
            network.country(settings.country)
        wlan = self._wlan = network.WLAN(network.WLAN.IF_STA)  # the one that there is
        wlan.active(True)
        # The ESP32 refuses to connect while it is connecting; the others do not mind
        wlan.disconnect()
        self._prepare(wlan)
        wlan.connect(settings.ssid, settings.password or None)
