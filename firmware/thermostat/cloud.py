"""What the appliance tells the hub of its own accord, and when."""

VERSION = "0.1.0"


class Schedule:
    """When a value is worth a message: every so often, and sooner when it has moved.

    `period_ms` between messages, cut short when the value moved by `delta` (0: by time alone),
    but never below `least_ms`. Allocates nothing.
    """

    def __init__(self, clock, period_ms, delta, least_ms):
        self._clock = clock
        self._period_ms = period_ms
        self._delta = delta
        self._least_ms = least_ms
        self._sent_ticks = 0
        self._sent_value = 0
        self._is_begun = False

    def is_due(self, value):
        """Whether `value` should be sent now; the first is due at once."""
        if not self._is_begun:
            return True
        elapsed_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._sent_ticks)
        if elapsed_ms >= self._period_ms:
            return True
        if not self._delta or elapsed_ms < self._least_ms:
            return False
        return abs(value - self._sent_value) >= self._delta

    def note_sent(self, value):
        self._is_begun = True
        self._sent_value = value
        self._sent_ticks = self._clock.ticks_ms()


class ZoneReporter:
    """Sends a room's temperature when it is worth a message. `pace`: `Settings.telemetry`."""

    def __init__(self, room, component, clock, pace):
        self._room = room
        self._component = component
        self._schedule = Schedule(
            clock,
            pace.zone_period_s * 1000,
            pace.zone_delta_centi_c,
            pace.zone_least_s * 1000,
        )

    def tend(self):
        centi_c = self._room.temperature_centi_c
        if centi_c is None:
            return
        self._component.on_reading(centi_c)
        if self._schedule.is_due(centi_c) and self._component.send(centi_c):
            self._schedule.note_sent(centi_c)


class Cloud:
    """The Plug and Play `device`, its `session` with the hub, and what is sent through it.

    `zones` are ZoneReporters, `root` is the BoardComponent.
    """

    def __init__(self, device, session, zones, root, board, clock, pace):
        self.device = device
        self.session = session
        self._zones = zones
        self._root = root
        self._board = board
        self._memory = Schedule(clock, pace.working_set_period_s * 1000, 0, 0)

    def tend(self):
        """Send what is due. To be called about once a second."""
        for zone in self._zones:
            zone.tend()
        if self._memory.is_due(0):
            self._root.send(self._board.heap_in_use())
            self._memory.note_sent(0)

    def statistics(self, found):
        """Add the counters of messages to the dict `found`."""
        outbox, exchange = self.session.outbox, self.session.exchange
        acked = outbox.telemetry.acked
        found["state"] = self.session.state
        found["telemetry_sent"] = outbox.accepted
        found["telemetry_acked"] = acked
        found["telemetry_dropped"] = outbox.dropped
        found["telemetry_waiting"] = outbox.accepted - acked - outbox.dropped
        found["desired_acked"] = self.device.accepted_count
        found["desired_rejected"] = self.device.rejected_count
        found["commands_answered"] = exchange.commands
        found["c2d_completed"] = exchange.messages
        found["reconnects"] = max(0, self.session.connects - 1)
