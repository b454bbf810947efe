"""The life of a device's connection to Azure IoT Hub, as one table of states.

    state        event       action    next
    OFFLINE      DUE         dial      CONNECTING     the wait is over and the date is known
    CONNECTING   OPEN        greet     CONNECTING     CONNECT is on its way
    CONNECTING   ACCEPTED    ask       SUBSCRIBING    four filters and the twin in one flight
    SUBSCRIBING  SUBSCRIBED            RECONCILING
    RECONCILING  TWIN_READ   arrive    ONLINE         then what was not acknowledged, again
    ONLINE       TOKEN_DUE   hold      RENEWING       nothing new leaves
    RENEWING     QUIET       renew     OFFLINE        due at once, with a new token
    CONNECTING   REFUSED     give_way  OFFLINE        after the long wait: somebody must act
    CONNECTING   UNAVAILABLE come_back OFFLINE        after full-jitter backoff
    any          FAILED      lose      OFFLINE        after full-jitter backoff
    ONLINE       STOP                  STOPPING       what waits still leaves
    any other    STOP        leave     STOPPED
    STOPPING     QUIET       leave     STOPPED
    STOPPED      START       again     OFFLINE

`_TABLE` below is this table. A session does something only in `step()` (and telemetry leaves
from `send()` when it can), so it runs by any clock, and a month of outages is a loop.
Provisioning has its place between OFFLINE and CONNECTING.

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

from iothub import topics
from iothub.backoff import Backoff
from iothub.errors import LinkError, ProtocolError
from iothub.outbox import Counters
from iothub.sas import SasCredential
from iothub.traffic import (
    ACCEPTED,
    LONG_PAUSE_MS,
    REFUSED,
    SHORT_PAUSE_MS,
    SUBSCRIBED,
    UNAVAILABLE,
    Traffic,
)
from micropython import const

OFFLINE = const(0)
CONNECTING = const(1)
SUBSCRIBING = const(2)
RECONCILING = const(3)
ONLINE = const(4)
RENEWING = const(5)
STOPPING = const(6)
STOPPED = const(7)
_STATE_NAMES = const(
    (
        "offline",
        "connecting",
        "subscribing",
        "reconciling",
        "online",
        "renewing",
        "stopping",
        "stopped",
    )
)

# Events of the session's own, behind those of the traffic
_DUE = const(10)
_OPEN = const(11)
_TWIN_READ = const(12)
_TOKEN_DUE = const(13)
_QUIET = const(14)
_FAILED = const(15)
_STOP = const(16)
_START = const(17)

# Online for so long, and the next failure starts the backoff anew. Two devices that share an
# id throw each other out at once; without this they would do so once a second for ever.
_SETTLED_AFTER_MS = const(30_000)

# By the return code of CONNACK, from 1 on; the last for all further ones
_REFUSALS = const(
    (
        "the hub refused the protocol version (CONNACK %d): is HostName an IoT hub's?",
        "the hub refused the client id (CONNACK %d): check DeviceId",
        "the hub is unavailable (CONNACK %d)",
        "the hub refused the credential (CONNACK %d): check HostName, DeviceId and "
        "SharedAccessKey, that the device is enabled, and that its clock is right",
    )
)


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
    """

    def __init__(self, identity, dialer, clock, random_below, outbox, log, handler, settings):
        self.state = STOPPED
        self.link = None  # from dial to loss; a shell waits on `link.readable()` once `is_open`
        self.is_open = False
        self.counters = Counters(outbox)
        self._identity = identity
        self._dialer = dialer
        self._clock = clock
        self._outbox = outbox
        self._log = log
        self._handler = handler
        self._settings = settings
        self._backoff = Backoff(random_below, settings.backoff_base_ms, settings.backoff_cap_ms)
        self._credential = SasCredential(
            identity, clock, settings.token_life_s, settings.token_renew_percent
        )
        self._traffic = Traffic(
            identity, clock, random_below, outbox, log, handler, settings, self.counters
        )
        self._since = clock.ticks_ms()  # when the state was entered
        self._wait_ms = 0  # in OFFLINE, before the next dial
        self._is_settled = False
        self._told_no_date = False
        self._send_error = None  # a link that broke in send(): told in the next step()
        self.start()

    # ---- for the application

    def start(self):
        """Connect at the next `step()`, after `stop()` too."""
        if self.state == STOPPED:
            self._fire(_START)

    def stop(self):
        """Send what waits (bounded), say DISCONNECT, and stay STOPPED; `step()` does it."""
        if self.state not in (STOPPING, STOPPED):
            self._fire(_STOP)

    def is_stopped(self):
        return self.state == STOPPED

    def state_name(self):
        """The state as a word, for people."""
        return _STATE_NAMES[self.state]

    def telemetry_topic(self, component=""):
        """The topic of `component`'s telemetry ("" = root); build it once and keep it."""
        return topics.telemetry(self._identity.device_id, component)

    def send(self, topic, payload, size):
        """Put `payload[:size]` (JSON) under the session's care; False if it can never be sent.

        QoS 1. It leaves at once if the window allows, else later, with the time it was made.
        """
        at_once = self._traffic.can_send()
        made = b"" if self._traffic.is_flowing else topics.created(self._clock.utc_text())
        if not self._outbox.put_telemetry(topic, payload, size, made, at_once):
            self.counters.refused += 1
            self._log.warning("telemetry of %d bytes is too long to be sent", size)
            return False
        if at_once and self._send_error is None:
            try:
                self._traffic.send_waiting()
            except LinkError as error:
                self._send_error = error
        return True

    def step(self):
        """Do all that can be done now; return the ms until it wants to run again (<= 1000).

        Never waits; never raises for what a peer does. What a handler raises passes through;
        a message it was about is not acknowledged.
        """
        try:
            if self._send_error is not None:
                raise self._send_error
            return _WORK[self.state](self)
        except (LinkError, ProtocolError) as error:
            self._send_error = None
            self._fail(error)
        return 0

    # ---- work of the states; each returns when to be called again

    def _wait(self):
        """OFFLINE"""
        if not self._clock.unix_time():
            if not self._told_no_date:
                self._told_no_date = True
                self._log.warning("the date is not known: waiting for it before connecting")
            # Ticks cannot span the days that this may take
            self._since = self._clock.ticks_ms()
            self._wait_ms = 0
            return LONG_PAUSE_MS
        left_ms = self._wait_ms - self._elapsed_ms()
        if left_ms <= 0:
            self._fire(_DUE)
            return 0
        return min(left_ms, LONG_PAUSE_MS)

    def _connect(self):
        """CONNECTING: first the link, then the hub's CONNACK."""
        if self.is_open:
            # TLS shakes hands while CONNECT is on its way
            self._expect_within(
                self._settings.packet_timeout_ms + self._settings.answer_timeout_ms
            )
            return min(self._exchange(), SHORT_PAUSE_MS)
        if self._is_ready():
            self._fire(_OPEN)
            return 0
        self._expect_within(self._settings.dial_timeout_ms)
        return SHORT_PAUSE_MS

    def _subscribe(self):
        """SUBSCRIBING"""
        self._expect_within(self._settings.answer_timeout_ms)
        return self._exchange()

    def _reconcile(self):
        """RECONCILING"""
        pause_ms = self._exchange()
        if self.state != RECONCILING:
            return 0
        self._traffic.tend()
        if self._traffic.twin.is_read:
            self._fire(_TWIN_READ)
            return 0
        return pause_ms

    def _serve(self):
        """ONLINE"""
        pause_ms = self._exchange()
        if self.state != ONLINE:
            return 0
        self._traffic.send_waiting()
        self._traffic.tend()
        if not self._is_settled and self._elapsed_ms() > _SETTLED_AFTER_MS:
            self._is_settled = True
            self._backoff.reset()
        if self._credential.is_due():
            self._fire(_TOKEN_DUE)
            return 0
        return pause_ms if self._traffic.can_send() else SHORT_PAUSE_MS

    def _finish(self):
        """RENEWING, STOPPING: what is out comes home, for a bounded time."""
        self._exchange()
        if self.state == STOPPED:
            return 0
        if self._traffic.is_flowing:
            self._traffic.send_waiting()
        is_quiet = self._traffic.is_quiet()
        if is_quiet or self._elapsed_ms() > self._settings.drain_timeout_ms:
            self._fire(_QUIET)
            return 0
        return SHORT_PAUSE_MS

    def _rest(self):
        """STOPPED"""
        return LONG_PAUSE_MS

    def _exchange(self):
        event = self._traffic.exchange()
        if event:
            self._fire(event)
            return 0
        return self._traffic.pause_ms

    # ---- actions of the table

    def _dial(self):
        self._told_no_date = False
        try:
            self.link = self._dialer.dial(self._identity.dial_host(), self._settings.port)
        except OSError as error:
            raise LinkError(str(error))

    def _greet(self):
        self.is_open = True
        self._traffic.open(self.link, self._credential.password())

    def _ask(self):
        self._traffic.ask()

    def _arrive(self):
        self.counters.connects += 1
        self._is_settled = False
        self._traffic.is_flowing = True
        self._log.info("online as %s", self._identity.device_id)
        self._handler.on_online()

    def _hold(self):
        self._traffic.is_flowing = False

    def _renew(self):
        self.counters.renewals += 1
        self._log.info("renewing the token")
        self._hang_up()
        self._wait_ms = 0

    def _lose(self):
        self.counters.failures += 1
        self._drop_link()
        self._wait_ms = self._backoff.next_ms()

    def _give_way(self):
        code = self._traffic.refusal_code()
        self.counters.failures += 1
        self._drop_link()
        self._wait_ms = self._backoff.slow_ms()
        self._tell_refusal(code)

    def _come_back(self):
        code = self._traffic.refusal_code()
        self._lose()
        self._tell_refusal(code)

    def _tell_refusal(self, code):
        text = _REFUSALS[min(code, len(_REFUSALS)) - 1]
        self._log.error(text + "; next try in %d s", code, (self._wait_ms + 999) // 1000)

    def _leave(self):
        self._hang_up()
        self._log.info("stopped")

    def _again(self):
        self._wait_ms = 0

    # ---- the machine

    def _fire(self, event):
        """Take the transition; an action may raise, then the state is already the next."""
        action, self.state = _transition(event, self.state)
        self._since = self._clock.ticks_ms()
        if action is not None:
            action(self)

    def _fail(self, error):
        name = _STATE_NAMES[self.state]
        if self.state == CONNECTING:
            name = "connecting to %s" % self._identity.dial_host()
        self._fire(_FAILED)
        if self.state == STOPPED:
            return
        if str(error).startswith("TLS: "):
            # A certificate that is refused stays so until somebody acts
            self._wait_ms = self._backoff.slow_ms()
        self._log.warning("%s: %s; next try in %d s", name, error, (self._wait_ms + 999) // 1000)

    def _hang_up(self):
        self._traffic.farewell()
        self._drop_link()

    def _drop_link(self):
        link, self.link = self.link, None
        self.is_open = False
        self._send_error = None
        if link is not None:
            link.close()
        self._traffic.close()

    def _elapsed_ms(self):
        return self._clock.ticks_diff(self._clock.ticks_ms(), self._since)

    def _expect_within(self, limit_ms):
        if self._elapsed_ms() > limit_ms:
            raise LinkError("no answer in time")

    def _is_ready(self):
        try:
            return self.link.ready()
        except OSError as error:
            raise LinkError(str(error))


# By state
_WORK = (
    Session._wait,
    Session._connect,
    Session._subscribe,
    Session._reconcile,
    Session._serve,
    Session._finish,
    Session._finish,
    Session._rest,
)

# event, states in which it is expected, action, next state; what is not here cannot happen
_TABLE = (
    (_DUE, (OFFLINE,), Session._dial, CONNECTING),
    (_OPEN, (CONNECTING,), Session._greet, CONNECTING),
    (ACCEPTED, (CONNECTING,), Session._ask, SUBSCRIBING),
    (SUBSCRIBED, (SUBSCRIBING,), None, RECONCILING),
    (_TWIN_READ, (RECONCILING,), Session._arrive, ONLINE),
    (_TOKEN_DUE, (ONLINE,), Session._hold, RENEWING),
    (_QUIET, (RENEWING,), Session._renew, OFFLINE),
    (_QUIET, (STOPPING,), Session._leave, STOPPED),
    (REFUSED, (CONNECTING,), Session._give_way, OFFLINE),
    (UNAVAILABLE, (CONNECTING,), Session._come_back, OFFLINE),
    (_FAILED, (CONNECTING, SUBSCRIBING, RECONCILING, ONLINE, RENEWING), Session._lose, OFFLINE),
    (_FAILED, (STOPPING,), Session._leave, STOPPED),
    (_STOP, (ONLINE,), None, STOPPING),
    (
        _STOP,
        (OFFLINE, CONNECTING, SUBSCRIBING, RECONCILING, RENEWING),
        Session._leave,
        STOPPED,
    ),
    (_START, (STOPPED,), Session._again, OFFLINE),
)


def _transition(event, state):
    for expected, states, action, following in _TABLE:
        if expected == event and state in states:
            return action, following
    raise KeyError(event)
