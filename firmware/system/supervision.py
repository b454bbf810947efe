"""Runs the tasks of the appliance: restarts what falls, and feeds the watchdog while all live.

Each task is an endless coroutine that says `alive(index)` within its own limit. The cases:

    1  it raises, or returns      restarted after 2 s; its traceback is kept and logged
    2  it falls three times in    on_give_up(), which resets the board
       ten minutes
    3  it hangs in an await       the watchdog is no longer fed, and bites
    4  it blocks everything       the same, for nothing runs that could feed it

A task that holds a relay turns it off on its own way out (`try ... finally`): between fall and
restart nobody controls it. This is the one place that catches every exception.
"""

import asyncio
import gc
import io
import sys

from micropython import const

# At most 5 s without a task is promised; 2 s let the cause (a bus, a peer) settle
_RESTART_DELAY_MS = const(2000)
_FALLS_TO_GIVE_UP = const(3)
_FALLS_WITHIN_S = const(600)
# Well within the shortest watchdog limit, 8.388 s on RP2040
_FEED_PERIOD_MS = const(500)
# The end of a traceback tells most; it is kept in RAM for each task
_TRACEBACK_CHARACTERS = const(600)


class Supervised:
    """One task: what it is called, how it is started, and how it has fared."""

    def __init__(self, name, start, limit_ms):
        self.name = name
        self.start = start
        self.limit_ms = limit_ms
        self.falls = 0
        self.traceback = ""
        self.running = False
        self.late = False
        self.seen_ticks = 0
        self.fell_at_s = []


class Supervisor:
    """`watchdog` has `feed()`; `on_give_up(name, traceback)` should not return."""

    def __init__(self, clock, log, watchdog, on_give_up):
        self.tasks = []
        self.given_up = False
        self.clock = clock
        self.log = log
        self.watchdog = watchdog
        self.on_give_up = on_give_up

    def add(self, name, start, limit_ms):
        """Index of a new task: `start()` returns its coroutine, which must check in every
        `limit_ms` (below six days)."""
        self.tasks.append(Supervised(name, start, limit_ms))
        return len(self.tasks) - 1

    def alive(self, index):
        """The task `index` checks in. Allocates nothing."""
        self.tasks[index].seen_ticks = self.clock.ticks_ms()

    async def run(self):
        """Run all tasks until this is cancelled; then they are cancelled too."""
        running = []
        try:
            for task in self.tasks:
                task.seen_ticks = self.clock.ticks_ms()
                running.append(asyncio.create_task(self._keep_running(task)))
            while True:
                if self.all_alive() and not self.given_up:
                    self.watchdog.feed()
                await self.clock.sleep_ms(_FEED_PERIOD_MS)
        finally:
            for keeper in running:
                keeper.cancel()

    def all_alive(self):
        """Has every task checked in within its limit? Logs one that stops doing so, once."""
        now = self.clock.ticks_ms()
        every = True
        for task in self.tasks:
            # One that waits for its restart is looked after already
            late = task.running and self.clock.ticks_diff(now, task.seen_ticks) > task.limit_ms
            if late and not task.late:
                self.log.error("%s hangs: no sign for %d ms", task.name, task.limit_ms)
            task.late = late
            every = every and not late
        return every

    async def _keep_running(self, task):
        while True:
            task.seen_ticks = self.clock.ticks_ms()
            task.running = True
            try:
                await task.start()
                error = None
            except Exception as caught:  # noqa: BLE001 - the one place: what falls is restarted
                error = caught
            task.running = False
            self._note_fall(task, error)
            error = None  # else it keeps the frames of the fallen task in memory
            await self.clock.sleep_ms(_RESTART_DELAY_MS)

    def _note_fall(self, task, error):
        now_s = self.clock.uptime_s()
        task.falls += 1
        try:
            gc.collect()
            task.fell_at_s = (task.fell_at_s + [now_s])[-_FALLS_TO_GIVE_UP:]
            task.traceback = traceback_text(error) if error else "it returned"
            self.log.error("%s fell (%d): %r", task.name, task.falls, error)
            for line in task.traceback.split("\n"):
                self.log.error("  %s", line)
        except MemoryError:
            # No room to tell is no reason not to restart
            task.traceback = "no memory for the traceback"
        fell_at_s = task.fell_at_s
        if len(fell_at_s) == _FALLS_TO_GIVE_UP and now_s - fell_at_s[0] <= _FALLS_WITHIN_S:
            # Should the reset fail, the watchdog, which is no longer fed, does it
            self.given_up = True
            self.log.error("%s fell too often within ten minutes: giving up", task.name)
            self.on_give_up(task.name, task.traceback)


def traceback_text(error):
    """The last 600 characters of the traceback."""
    text = io.StringIO()
    sys.print_exception(error, text)
    return text.getvalue().strip()[-_TRACEBACK_CHARACTERS:]
