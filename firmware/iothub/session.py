"""The life of a device's connection to Azure IoT Hub, as one table of states.

    state        event       action    next
    offline      DUE                   connecting     the wait is over and the date is known
    connecting   OPEN        greet     connecting     CONNECT is on its way
    connecting   ACCEPTED              subscribing    four filters and the twin in one flight
    subscribing  SUBSCRIBED            reconciling
    reconciling  TWIN_READ   arrive    online         then what was not acknowledged, again
    online       TOKEN_DUE             renewing       nothing new leaves but answers
    renewing     QUIET       leave     offline        due at once, with a new token
    stopping     QUIET       leave     stopped
    stopping     FAILED      leave     stopped
    stopped      FAILED                stopped        out of heap on the way out
    any other    FAILED      lose      offline        after full-jitter backoff; after the long
                                                      wait where somebody has to act
    online       STOP                  stopping       what waits still leaves
    any other    STOP        leave     stopped

`_TABLE` below is this table; what is done in a state is the method of its name. A session does
something only in `step()` (and telemetry leaves from `send()` when it can), so it runs by any
clock, and a month of outages is a loop.
Provisioning (`iothub.dps`) comes before all of this.

The handler, all of it called from `step()`:
    on_twin(document)            after each (re)connect: {"desired": {...}, "reported": {...}}
    on_desired(patch)            with "$version"; which versions are old is the handler's affair
    on_command(name, payload) -> (status, result)
    on_message(payload, properties)   cloud-to-device; acknowledged when it has returned; to
                                 raise errors.Declined leaves the message with the hub
    next_report() -> dict or None     asked when online and no patch is out
    on_reported(status)          204 = taken; else drop it or keep it for later
    on_report_lost()             no answer came: report it again
    on_online()

Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol"; azure-sdk-for-c,
"MQTT state machine".
"""

from iothub.errors import LinkError, ProtocolError, RefusedError
from iothub.exchange import Exchange
from iothub.topics import encode
from micropython import const

# Events: those of `Exchange.exchange()`, which are MQTT's CONNACK and SUBACK; our own
_ACCEPTED = const(0x20)
_SUBSCRIBED = const(0x90)
_DUE = const(1)
_OPEN = const(2)
_TWIN_READ = const(3)
_TOKEN_DUE = const(4)
_QUIET = const(5)
_FAILED = const(6)
_STOP = const(7)

# As in `iothub.exchange`
_SHORT_PAUSE_MS = const(20)
_LONG_PAUSE_MS = const(1000)

# Online for so long, and the next failure starts the backoff anew. Two devices that share an
# id throw each other out at once; without this they would do so once a second for ever.
_SETTLED_AFTER_MS = const(30_000)
# The wall clock is asked this often: as a number it costs heap on boards
_LOOK_EVERY_MS = const(10_000)
# A clock that was set back further than this makes the token live too long
_LARGEST_STEP_S = const(60)


# Made once: built where it is needed, it would take heap when there is none
_LOSSES = (LinkError, ProtocolError, MemoryError)


class Session:
    """One device's connection to its hub, through every outage, driven by `step()`.

    `identity`: see `iothub.identity`. `dialer.dial(host, port)` gives a link: `ready()`,
    `read_into(buffer, offset, size)`, `write(buffer, offset, size)`, `close()`, none of which
    waits, each raising OSError only. `random_below(n)`: an int in [0, n). `outbox`: see
    `iothub.outbox`. `settings`, plain attributes:
        model_id, product     DTMI that the device announces; what the hub's logs call it
        port, keep_alive_s    the hub drops after 1.5 times this without a packet
        token_life_s, token_renew_percent
        backoff_base_ms, backoff_cap_ms
        dial_timeout_ms       name, TCP and TLS
        packet_timeout_ms     a packet once begun, either way, is whole by then
        answer_timeout_ms     CONNACK, SUBACK, twin answers, PINGRESP
        ack_timeout_ms        PUBACK: a throttled hub delays it by tens of seconds
        drain_timeout_ms      what renewal and stop() wait for, before they cut
        receive_bytes         largest topic + body taken; a longer packet is drained and told
        send_bytes            largest CONNECT, reported patch
    `greet`: `iothub.greeting.greet`, or, to save heap, what loads it for each link.
    """

    def __init__(
        self, identity, dialer, clock, random_below, outbox, log, handler, settings, greet
    ):
        self.greet = greet
        self.state = "offline"
        self.connects = 0  # times online, the renewals of the token included
        self.failures = 0  # links lost or not come by
        self.refusals = 0  # since it was last online: the hub knows no such device, or its key
        self.exchange = Exchange(identity, clock, random_below, outbox, log, handler, settings)
        self.link = None  # from dial to loss; it is the exchange's once it is open
        self.identity = identity
        self.dialer = dialer
        self.clock = clock
        self.random_below = random_below
        self.outbox = outbox
        self.log = log
        self.handler = handler
        self.settings = settings
        self._backoff_ms = settings.backoff_base_ms
        self._told = False  # that the date is not known
        self._wait_ms = 0  # in offline, before the next dial
        self._since = clock.ticks_ms()  # when the state was entered

    # ---- for the application

    def stop(self):
        """Send what waits (bounded), say DISCONNECT, and stay stopped; `step()` does it."""
        if not self.state.startswith("stop"):
            self._fire(_STOP)

    def telemetry_topic(self, component=""):
        """The topic of `component`'s telemetry ("" = root); build it once and keep it."""
        # Without both content properties the hub would hand the body on as base64
        topic = "devices/%s/messages/events/%%24.ct=application%%2Fjson&%%24.ce=utf-8"
        topic = (topic % self.identity.device_id).encode()
        return topic + b"&%24.sub=" + encode(component) if component else topic

    def send(self, topic, payload, size):
        """Put `payload[:size]` (JSON) under the session's care; False if it can never be sent.

        QoS 1. It leaves at once if the window allows, else later, with the time it was made.
        """
        exchange, made = self.exchange, b""
        leaves = exchange.is_flowing and not exchange.left and self.outbox.is_clear()
        if not leaves and self.clock.unix_time():
            try:
                made = b"&iothub-creation-time-utc=" + encode(self.clock.utc_text())
            except MemoryError:
                pass  # rather without its time than not at all
        if not self.outbox.put_telemetry(topic, made, payload, size):
            self.log.warning("telemetry of %d bytes exceeds packet_bytes", size)
            return False
        try:
            exchange.send()
        except _LOSSES:
            pass  # the next step() meets it too, or goes on with the packet
        return True

    def step(self):
        """Do all that can be done now; return the ms until it wants to run again (<= 1000).

        Never waits; never raises for what a peer does. What a handler raises passes through
        but for MemoryError, which costs the link; a message it was about is not acknowledged.
        """
        try:
            if self.exchange.link is not None:
                event = self.exchange.exchange()
                if event:
                    return self._fire(event)
            return getattr(Session, self.state)(self)
        except _LOSSES as error:
            # Out of heap, something is half done: on a new link all of it begins anew
            try:
                self._fail(error)
            except MemoryError:
                pass  # not even for telling
        return 0

    # ---- work of the states; each returns when to be called again

    def offline(self):
        if not self.clock.unix_time():
            if not self._told:
                self._told = True
                self.log.warning("the date is not known: waiting for it")
            # Ticks cannot span the days that this may take
            self._since = self.clock.ticks_ms()
            self._wait_ms = 0
            return _LONG_PAUSE_MS
        left_ms = self._wait_ms - self.exchange.age_ms(self._since)
        return min(left_ms, _LONG_PAUSE_MS) if left_ms > 0 else self._fire(_DUE)

    def connecting(self):
        """First the link, then the hub's CONNACK."""
        settings = self.settings
        if self.exchange.link is not None:
            # TLS shakes hands while CONNECT is on its way
            self._expect(settings.packet_timeout_ms + settings.answer_timeout_ms)
            return min(self.exchange.pause_ms, _SHORT_PAUSE_MS)
        try:
            if self.link is None:
                self._told = False  # that the date is not known
                self.link = self.dialer.dial(self.identity.dial_host, settings.port)
            is_ready = self.link.ready()
        except OSError as error:
            raise LinkError(str(error))
        if is_ready:
            return self._fire(_OPEN)
        self._expect(settings.dial_timeout_ms)
        return _SHORT_PAUSE_MS

    def subscribing(self):
        self._expect(self.settings.answer_timeout_ms)
        return self.exchange.pause_ms

    def reconciling(self):
        self.exchange.send()
        self.exchange.tend()
        return self._fire(_TWIN_READ) if self.exchange.is_read else self.exchange.pause_ms

    def online(self):
        self.exchange.send()
        self.exchange.tend()
        if self.exchange.age_ms(self._since) > _SETTLED_AFTER_MS:
            self._backoff_ms = self.settings.backoff_base_ms
        if self._is_due():
            return self._fire(_TOKEN_DUE)
        return _SHORT_PAUSE_MS if self.exchange.left else self.exchange.pause_ms

    def stopping(self):
        """What is out comes home, for a bounded time."""
        self.exchange.send()
        age_ms = self.exchange.age_ms(self._since)
        if self.exchange.is_quiet() or age_ms > self.settings.drain_timeout_ms:
            return self._fire(_QUIET)
        return _SHORT_PAUSE_MS

    renewing = stopping

    def stopped(self):
        return _LONG_PAUSE_MS

    # ---- actions of the table

    def _greet(self):
        self._made_s = self.clock.unix_time()
        self._looked = self.clock.ticks_ms()
        self.exchange.open(self.link)
        self.greet(self.exchange, self.identity, self.settings, self._made_s)

    def _arrive(self):
        self.connects += 1
        self.refusals = 0
        self.log.info("online as %s", self.identity.device_id)
        self.handler.on_online()

    def _lose(self):
        self.failures += 1
        self._drop_link()
        self._wait_ms = self.random_below(self._backoff_ms)
        self._backoff_ms = min(self.settings.backoff_cap_ms, self._backoff_ms * 2)

    def _leave(self):
        self.exchange.disconnect()
        self._drop_link()
        self._wait_ms = 0
        self.log.info("left the hub: %s", self.state)

    # ---- the machine

    def _fire(self, event):
        """Take the transition; an action may raise, then the state is already the next."""
        for state, expected, action, following in _TABLE:
            if expected == event and state in (self.state, None):
                self.state = following
                self.exchange.is_flowing = following == "online" or following == "stopping"
                self._since = self.clock.ticks_ms()
                if action is not None:
                    action(self)
                break
        return 0

    def _fail(self, error):
        where = self.state
        self._fire(_FAILED)
        if self.state == "stopped":
            return
        if where == "connecting":
            where += " to " + self.identity.dial_host
        tell = self.log.warning
        # A certificate that is refused stays so until somebody acts
        if isinstance(error, RefusedError):
            self.refusals += 1
        if isinstance(error, RefusedError) or str(error).startswith("TLS: "):
            tell = self.log.error
            cap_ms = self.settings.backoff_cap_ms
            self._wait_ms = cap_ms - self.random_below(cap_ms // 2)
        tell("%s: %s; next try in %d s", where, error, (self._wait_ms + 999) // 1000)

    def _drop_link(self):
        link, self.link = self.link, None
        if link is not None:
            link.close()
        self.exchange.close()

    def _expect(self, limit_ms):
        if self.exchange.age_ms(self._since) > limit_ms:
            raise LinkError("no answer in time")

    def _is_due(self):
        """It nears its end, or the clock was set back since it was made."""
        if self.identity.key is None or self.exchange.age_ms(self._looked) < _LOOK_EVERY_MS:
            return False
        self._looked = self.clock.ticks_ms()
        unix_s = self.clock.unix_time()
        age_s = unix_s - self._made_s
        life_s = self.settings.token_life_s * self.settings.token_renew_percent // 100
        return unix_s and not -_LARGEST_STEP_S <= age_s < life_s


# state (None: any other), event, action, next state; what is not here cannot happen. Lists, since
# a tuple of constants would keep the names of its states once more.
_TABLE = (
    ["offline", _DUE, None, "connecting"],
    ["connecting", _OPEN, Session._greet, "connecting"],
    ["connecting", _ACCEPTED, None, "subscribing"],
    ["subscribing", _SUBSCRIBED, None, "reconciling"],
    ["reconciling", _TWIN_READ, Session._arrive, "online"],
    ["online", _TOKEN_DUE, None, "renewing"],
    ["renewing", _QUIET, Session._leave, "offline"],
    ["stopping", _QUIET, Session._leave, "stopped"],
    ["stopping", _FAILED, Session._leave, "stopped"],
    ["stopped", _FAILED, None, "stopped"],
    [None, _FAILED, Session._lose, "offline"],
    ["online", _STOP, None, "stopping"],
    [None, _STOP, Session._leave, "stopped"],
)
