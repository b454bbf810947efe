"""The life of a device's connection to Azure IoT Hub.  (skeleton: the public face)"""

OFFLINE, CONNECTING, SUBSCRIBING, RECONCILING, ONLINE, RENEWING, STOPPING, STOPPED = range(8)
STATE_NAMES = (
    "offline",
    "connecting",
    "subscribing",
    "reconciling",
    "online",
    "renewing",
    "stopping",
    "stopped",
)


class Counters:
    """What a session has done since it was made; plain ints that only rise."""

    def __init__(self):
        self.sent = 0  # telemetry messages taken from the application
        self.acked = 0  # of these, acknowledged by the hub
        self.dropped = 0  # of these, displaced by newer ones while the outbox was full
        self.refused = 0  # telemetry not taken: too large
        self.connects = 0
        self.reconnects = 0
        self.renewals = 0
        self.commands = 0
        self.repeats = 0  # commands whose request id was known: answered again, not done again
        self.messages = 0  # cloud-to-device, handled and acknowledged
        self.patches = 0  # desired patches handed to the handler
        self.reports = 0  # reported patches taken by the hub
        self.malformed = 0  # packets dropped for their topic or body
        self.oversize = 0  # packets drained for their length


class Session:
    """One device's connection to its hub, through every outage, driven by `step()`."""

    def __init__(self, identity, dialer, clock, random_below, outbox, log, handler, settings):
        self.state = OFFLINE
        self.counters = Counters()
        self.link = None  # the open link or None; the shell waits on link.readable()

    def start(self):
        """Begin to connect at the next `step()`. Idempotent; also undoes `stop()`."""

    def stop(self):
        """Send what waits (bounded), say DISCONNECT, and stay `STOPPED`; driven by `step()`."""

    def step(self):
        """Do all that can be done now; return the ms until it wants to run again (<= 1000).

        Never blocks; never raises for what a peer does. Errors of the handler pass through.
        """

    def telemetry_topic(self, component=""):
        """The topic of `component`'s telemetry ("" = root); build it once and keep it."""

    def send(self, topic, payload, size):
        """Put `payload[:size]` under the hub's care; False if it can never be taken.

        It leaves at once if the window allows, else later; QoS 1; kept over reconnects.
        """
