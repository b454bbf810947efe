"""What the appliance tells the hub of its own accord, and when."""

from thermostat.schedule import Schedule

VERSION = "0.1.0"


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
        counters = self.session.counters
        found["state"] = self.session.state_name()
        found["telemetry_sent"] = counters.sent
        found["telemetry_acked"] = counters.acked
        found["telemetry_dropped"] = counters.dropped
        found["telemetry_waiting"] = counters.waiting
        found["desired_acked"] = self.device.accepted_count
        found["desired_rejected"] = self.device.rejected_count
        found["commands_answered"] = counters.commands
        found["c2d_completed"] = counters.messages
        found["reconnects"] = counters.reconnects
