"""What a session has done since it was made."""


class Counters:
    """Plain ints that only rise, beside the outbox's own."""

    def __init__(self, outbox):
        self._outbox = outbox
        self.refused = 0  # telemetry not taken: it could never be sent
        self.connects = 0  # times online, the renewals of the token included
        self.renewals = 0
        self.failures = 0  # links lost or not come by
        self.commands = 0
        self.repeats = 0  # commands whose request id was known: answered again, not done again
        self.unanswered = 0  # answers for which there was no room
        self.messages = 0  # cloud-to-device, handled and acknowledged
        self.declined = 0  # cloud-to-device that the handler raised on
        self.patches = 0  # desired patches handed to the handler
        self.reports = 0  # reported patches taken by the hub
        self.malformed = 0  # packets dropped for their topic or body
        self.oversize = 0  # packets drained for their length

    @property
    def sent(self):
        """Telemetry messages taken from the application."""
        return self._outbox.accepted

    @property
    def acked(self):
        """Of these, acknowledged by the hub."""
        return self._outbox.acked

    @property
    def dropped(self):
        """Of these, displaced by newer ones while the outbox was full."""
        return self._outbox.dropped

    @property
    def waiting(self):
        """Of these, neither acknowledged nor dropped: sent == acked + dropped + waiting."""
        return self._outbox.waiting()

    @property
    def reconnects(self):
        return max(0, self.connects - 1)
