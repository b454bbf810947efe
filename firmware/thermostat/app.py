"""The app: puts the parts together and keeps them running until it is told to leave.

Tasks under the supervisor, none of which waits for another:
    control    decide for each room and switch its relay, every tick
    sampling   measure each room
    network    step the session with the hub, if there is one
    upkeep     telemetry that is due, set points to flash, statistics, restarts

Without a usable configuration the rooms are controlled all the same, by the defaults and without
a network. On every way out the relays go off first.
"""

import asyncio
import gc
import json
import time

from drivers.registry import kinds
from drivers.relay import Relay
from iothub import client
from iothub.session import STATE_NAMES, STOPPED
from micropython import const
from system import log
from system.configuration import ConfigurationError
from system.log import Log
from system.store import Flash, Store
from system.supervision import Supervisor

from thermostat.cloud import Cloud
from thermostat.history import History
from thermostat.room import Room
from thermostat.setpoints import SetPoints
from thermostat.setpoints import check as check_set_points
from thermostat.settings import Settings

_UPKEEP_MS = const(1000)
_FIRST_TICK_MS = const(100)
# The answer to `reboot` has to reach the hub before the connection ends
_LEAST_RESTART_DELAY_MS = const(1000)
# Leaving waits for the hub this long, then no more; half of what a watchdog allows
_FAREWELL_MS = const(3000)
_FAREWELL_STEP_MS = const(10)


class App:
    """The appliance on `board` (see boards/README.md); `folder` is where the firmware lies."""

    def __init__(self, board, folder):
        self.board = board
        self.clock = board.clock()
        self.log = Log("thermostat")
        log.configure(clock=self.clock)
        self.cloud = None
        self.rooms = []
        self._relays = []
        self._restart_at = None
        self._has_left = False
        self.settings = self._load_settings()
        log.configure(level=self.settings.log_level)
        self.set_points = SetPoints(
            Store(board.data_path + "/setpoints.json", validate=check_set_points),
            self.clock,
            Log("setpoints"),
            [zone.name for zone in self.settings.zones],
        )
        self._try(self._build_rooms)
        if self.settings.connection_string:
            self._try(lambda: self._build_cloud(folder))
        gc.collect()

    # ---- building

    def _load_settings(self):
        store = Store(self.board.data_path + "/config.json", validate=_validate)
        try:
            found = store.load()
            if store.problem:
                self.log.warning("%s", store.problem)
                self.log.warning("using %s instead", store.source)
            if found is not None:
                return _validate(found)
            self.log.warning("no %s yet: running without a network", store.path)
        except ConfigurationError as error:
            self._tell_trouble(error)
        return Settings()

    def _try(self, build):
        try:
            build()
        except ConfigurationError as error:
            self._tell_trouble(error.within("config.json"))

    def _tell_trouble(self, error):
        self.log.error("%s", error)
        self.log.error("until then the rooms are controlled without it")

    def _build_rooms(self):
        for at, zone in enumerate(self.settings.zones):
            if zone.present:
                self.rooms.append(self._room(zone, "zones[%d]" % at))

    def _room(self, zone, path):
        try:
            self.board.i2c(zone.bus)
            relay = None if zone.relay is None else Relay(self.board.relay_pin(zone.relay))
        except (IndexError, ValueError) as error:
            raise ConfigurationError(path, "%s: %s" % (self.board.NAME, error))
        history = History(self.clock)
        return Room(
            zone,
            self.settings.control,
            relay,
            self.board.i2c,
            self.set_points,
            history,
            Log("room"),
        )

    def _build_cloud(self, folder):
        rooms = {room.name: room for room in self.rooms}
        self.cloud = Cloud(
            self.board,
            self.clock,
            Flash,
            folder,
            self.settings,
            rooms,
            self.set_points,
            self.restart_after,
        )

    # ---- running

    async def run(self):
        """Run until cancelled, interrupted or reset."""
        settings = self.settings.supervision
        self.board.connect_network(self.settings.wifi)
        watchdog = self.board.watchdog(settings.watchdog_timeout_ms)
        self.supervisor = Supervisor(self.clock, Log("supervisor"), watchdog, self._give_up)
        add = self.supervisor.add
        self._control_index = add("control", self._control, settings.control_limit_ms)
        self._sampling_index = add("sampling", self._sample, settings.control_limit_ms)
        self._upkeep_index = add("upkeep", self._keep_up, settings.control_limit_ms)
        if self.cloud is not None:
            self._network_index = add("network", self._connect, settings.network_limit_ms)
        await self.supervisor.run()

    async def _control(self):
        clock = self.clock
        tick_ms = self.settings.control.tick_ms
        last = clock.ticks_ms()
        # The first readings are there: whoever asks for them early need not wait for a tick
        await clock.sleep_ms(_FIRST_TICK_MS)
        try:
            while True:
                now = clock.ticks_ms()
                dt_ms = clock.ticks_diff(now, last)
                last = now
                for room in self.rooms:
                    room.regulate(dt_ms)
                clock.uptime_s()
                self.supervisor.alive(self._control_index)
                await clock.sleep_ms(tick_ms)
        finally:
            # Until it is restarted nobody decides
            self._switch_off()

    async def _sample(self):
        while True:
            for room in self.rooms:
                conversion_ms = room.begin()
                if conversion_ms >= 0:
                    await self.clock.sleep_ms(conversion_ms)
                    room.finish()
            self.supervisor.alive(self._sampling_index)
            await self.clock.sleep_ms(self.settings.control.sample_period_ms)

    async def _connect(self):
        await client.run(self.cloud.session, self.clock, self._network_alive)

    def _network_alive(self):
        self.supervisor.alive(self._network_index)

    async def _keep_up(self):
        stats_due_s = 0
        while True:
            if self.cloud is not None:
                self.cloud.tend()
            self.set_points.poll()
            if self.clock.uptime_s() >= stats_due_s:
                stats_due_s = self.clock.uptime_s() + self.settings.telemetry.stats_period_s
                self.print_statistics()
            if self._is_restart_due():
                self.log.warning("restarting, as asked")
                self.leave()
                self.board.reset()
            self.supervisor.alive(self._upkeep_index)
            await self.clock.sleep_ms(_UPKEEP_MS)

    # ---- what others ask for

    def restart_after(self, delay_s):
        """Reset the board in `delay_s`, or a little later, so that answers can leave."""
        delay_ms = max(delay_s * 1000, _LEAST_RESTART_DELAY_MS)
        self._restart_at = self.clock.ticks_add(self.clock.ticks_ms(), delay_ms)

    def _is_restart_due(self):
        if self._restart_at is None:
            return False
        return self.clock.ticks_diff(self.clock.ticks_ms(), self._restart_at) >= 0

    def _give_up(self, name):
        self.leave()
        self.board.reset()

    def statistics(self):
        """Counters and states as a dict of plain values."""
        found = {"heap": self.board.heap_in_use(), "uptime_s": self.clock.uptime_s()}
        if self.cloud is not None:
            session = self.cloud.session
            counters = session.counters
            found["state"] = STATE_NAMES[session.state]
            found["telemetry_sent"] = counters.sent
            found["telemetry_acked"] = counters.acked
            found["telemetry_dropped"] = counters.dropped
            found["telemetry_waiting"] = counters.waiting
            found["desired_acked"] = getattr(self.cloud.device, "accepted_count", 0)
            found["desired_rejected"] = getattr(self.cloud.device, "rejected_count", 0)
            found["commands_answered"] = counters.commands
            found["c2d_completed"] = counters.messages
            found["reconnects"] = counters.reconnects
        return found

    def print_statistics(self):
        """One line for people and programs that watch the console."""
        print("stats " + json.dumps(self.statistics()))

    # ---- leaving

    def leave(self):
        """Relays off, set points to flash, a farewell to the hub. Idempotent, bounded."""
        self._switch_off()
        if self._has_left:
            return
        self._has_left = True
        self.set_points.flush()
        if self.cloud is not None:
            self._say_farewell(self.cloud.session)
        self.print_statistics()

    def _switch_off(self):
        for room in self.rooms:
            room.switch_off()

    def _say_farewell(self, session):
        session.stop()
        began = self.clock.ticks_ms()
        while session.state != STOPPED:
            session.step()
            if self.clock.ticks_diff(self.clock.ticks_ms(), began) > _FAREWELL_MS:
                return
            # Not asyncio: the way out must work when the event loop no longer does
            time.sleep_ms(_FAREWELL_STEP_MS)


def _validate(found):
    """The Settings that `found` describes. Raises ConfigurationError."""
    return Settings.from_dict(found, kinds())


def main():
    """Run the appliance on the board that this is."""
    import board

    # This file is FOLDER/thermostat/app.py or app.mpy
    app = App(board, __file__.rsplit("/", 2)[0])
    try:
        asyncio.run(app.run())
    finally:
        app.leave()
