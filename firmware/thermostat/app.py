"""The app: keeps rooms and connection running until it is told to leave.

Tasks under the supervisor, none of which waits for another:
    control    decide for each room and switch its relay, every tick
    sampling   measure each room
    network    step the session with the hub, if there is one
    upkeep     date, telemetry that is due, set points to flash, statistics, restarts

On every way out the relays go off first. What it consists of is put together by `assembly`.
"""

import gc

from micropython import const
from system.log import Log
from system.modules import later
from system.supervision import Supervisor

# The tasks in the order in which the supervisor gets them
_CONTROL = const(0)
_SAMPLING = const(1)
_UPKEEP = const(2)
_NETWORK = const(3)

# Refusals in a row, minutes apart, after which the provisioning service is asked again
_MOST_REFUSALS = const(3)

_UPKEEP_MS = const(1000)
_DAY_S = const(86400)
# The first readings are there by then: whoever asks for them early need not wait for a tick
_FIRST_TICK_MS = const(100)

# In the heap only while they are of use
_CLIENT = const(("iothub.client",))
_PROVISIONING = const(("thermostat.provisioning", "iothub.identity", "system.store"))
_STATISTICS = const(("thermostat.statistics",))
_RECOVERY = const(("system.recovery",))
_FAREWELL = const(("thermostat.farewell",))


class App:
    """The appliance on `board` (see boards/README.md), as yet without rooms and cloud.

    `settings`: its `control`, `telemetry` and `supervision` are kept, the rest is not.
    """

    def __init__(self, board, clock, settings):
        self.board = board
        self.clock = clock
        self.log = Log("thermostat")
        self.rooms = []
        self.set_points = None
        self.cloud = None
        # Instead of `cloud`, while the provisioning service has not named a hub
        self.provisioning = None
        # Whether it did, for `cloud`: the uptime from which a hub that refuses is doubted, or None
        self.doubt_from_s = None
        # Makes a system.ntp.Timekeeper; None: the board has the time by itself
        self.new_timekeeper = None
        self.supervisor = None
        # Called once, without arguments, when all tasks have been at work for a while
        self.on_up = None
        self._control = settings.control
        self._pace = settings.telemetry
        self._limits = settings.supervision
        self._restart_s = None
        self._statistics_due_s = self._time_due_s = 0
        self._timekeeper = None
        self._has_left = False
        self._has_ticked = False
        self._falls = 0
        self._steady_since_s = 0

    # ---- running

    async def run(self):
        """Run until cancelled, interrupted or reset."""
        limits = self._limits
        watchdog = self.board.watchdog(limits.watchdog_timeout_ms)
        self.supervisor = Supervisor(self.clock, Log("supervisor"), watchdog, self._give_up)
        add = self.supervisor.add
        add("control", self._regulate, limits.control_limit_ms)
        add("sampling", self._sample, limits.control_limit_ms)
        add("upkeep", self._keep_up, limits.control_limit_ms)
        if self.provisioning is not None:
            add("network", self._provision, limits.network_limit_ms)
        if self.cloud is not None:
            add("network", self._connect, limits.network_limit_ms)
        await self.supervisor.run()

    async def _regulate(self):
        clock = self.clock
        tick_ms = self._control.tick_ms
        last = clock.ticks_ms()
        try:
            await clock.sleep_ms(_FIRST_TICK_MS)
            while True:
                now = clock.ticks_ms()
                dt_ms = clock.ticks_diff(now, last)
                last = now
                for room in self.rooms:
                    room.regulate(dt_ms)
                clock.uptime_s()
                self._has_ticked = True
                self.supervisor.alive(_CONTROL)
                await clock.sleep_ms(tick_ms)
        finally:
            # Until it is restarted nobody decides
            self._switch_off()

    async def _sample(self):
        while True:
            for room in self.rooms:
                try:
                    conversion_ms = room.begin()
                    if conversion_ms >= 0:
                        await self.clock.sleep_ms(conversion_ms)
                        room.finish()
                except MemoryError:
                    room.miss()
            self.supervisor.alive(_SAMPLING)
            await self.clock.sleep_ms(self._control.sample_period_ms)

    async def _connect(self):
        await later(_CLIENT, "run")(self.cloud.session, self.clock, self._network_alive)

    async def _provision(self):
        await later(_PROVISIONING, "run")(
            self.provisioning, self.clock, self._network_alive, self.board.data_path
        )
        self._restart()

    def _check_assignment(self, now_s):
        """A hub that refuses what it was assigned: the assignment is old."""
        from_s = self.doubt_from_s
        if from_s is None or now_s < from_s or self.cloud.session.refusals < _MOST_REFUSALS:
            return
        self.doubt_from_s = now_s + _DAY_S
        if later(_PROVISIONING, "doubt")(self.board.data_path, self.log):
            self._restart()

    def _restart(self):
        self.leave()
        self.board.reset()

    def _network_alive(self):
        self.supervisor.alive(_NETWORK)

    async def _keep_up(self):
        while True:
            try:
                self._look_after(self.clock.uptime_s())
            except MemoryError:
                pass  # what was not done is due the next time, but for a line of statistics
            self.supervisor.alive(_UPKEEP)
            await self.clock.sleep_ms(_UPKEEP_MS)

    def _look_after(self, now_s):
        # Before more is sent: what went last time has arrived
        if now_s >= self._statistics_due_s:
            self._statistics_due_s = now_s + self._pace.stats_period_s
            self.print_statistics()
        if self.new_timekeeper is not None and now_s >= self._time_due_s:
            self._set_clock(now_s)
        if self.cloud is not None:
            self.cloud.tend()
            self._check_assignment(now_s)
        self.set_points.poll()
        if self._restart_s is not None and now_s >= self._restart_s:
            self.log.warning("restarting, as asked")
            self._restart()
        if self.on_up is not None and self._is_up():
            on_up, self.on_up = self.on_up, None
            try:
                on_up()
            except MemoryError:
                self.on_up = on_up

    def _set_clock(self, now_s):
        """Once a day; what that takes is in the heap only until it is done."""
        if self._timekeeper is None:
            self._timekeeper = self.new_timekeeper()
        if self._timekeeper.poll():
            self._timekeeper = None
            self._time_due_s = now_s + _DAY_S

    def _is_up(self):
        """Whether control has ticked, and for a while all tasks were on time and none fell."""
        falls = 0
        for task in self.supervisor.tasks:
            falls += task.falls
        now_s = self.clock.uptime_s()
        if falls != self._falls or not self._has_ticked or not self.supervisor.all_alive():
            self._falls, self._steady_since_s = falls, now_s
        return now_s - self._steady_since_s >= self._limits.up_after_s

    # ---- what others ask for

    def restart_after(self, delay_s):
        """Reset the board in `delay_s`, or a little later, so that answers can leave."""
        # The answer to `reboot` has to reach the hub before the connection ends
        self._restart_s = self.clock.uptime_s() + max(delay_s, 1) + 1

    def _give_up(self, name, traceback):
        self._switch_off()
        later(_RECOVERY, "note_crash")(self.board.data_path + "/crash.txt", name, traceback)
        self._restart()

    def print_statistics(self):
        """One line for people and programs that watch the console."""
        gc.collect()
        heap = self.board.heap_in_use()
        print(later(_STATISTICS, "line")(self, heap))

    # ---- leaving

    def leave(self):
        """Relays off, set points to flash, a farewell to the hub. Idempotent, bounded."""
        self._switch_off()
        if self._has_left:
            return
        self._has_left = True
        if self.set_points is not None:
            self.set_points.flush()
        try:
            if self.cloud is not None:
                later(_FAREWELL, "say_farewell")(self.cloud.session, self.clock)
            self.print_statistics()
        except Exception:  # noqa: BLE001, S110 - a step may have been interrupted half way
            pass  # rather without a word than not at all

    def _switch_off(self):
        for room in self.rooms:
            room.switch_off()
