"""The life of a device's connection to Azure IoT Hub, as one table of states.

    state        event       action    next
    OFFLINE      DUE         dial      CONNECTING     the wait is over and the date is known
    CONNECTING   OPEN        greet     CONNECTING     CONNECT is on its way
    CONNECTING   ACCEPTED    ask       SUBSCRIBING    four filters and the twin in one flight
    SUBSCRIBING  SUBSCRIBED            RECONCILING
    RECONCILING  TWIN_READ   arrive    ONLINE         then what was not acknowledged, again
    ONLINE       TOKEN_DUE             RENEWING       nothing new leaves
    RENEWING     QUIET       renew     OFFLINE        due at once, with a new token
    any          FAILED      lose      OFFLINE        after full-jitter backoff
    any          REFUSED     give_way  OFFLINE        after the long wait: somebody must act
    any          STOP        (stop)    STOPPING or STOPPED
    STOPPING     QUIET       leave     STOPPED
    STOPPED      START       again     OFFLINE

`_TABLE` below is this table. A session does something only in `step()` (and telemetry leaves
from `send()` when it can), so it runs by any clock, and a month of outages is a loop.
Provisioning has its place between OFFLINE and CONNECTING.

The handler, all of it called from `step()`:
    on_twin(document)            after each (re)connect: {"desired": {...}, "reported": {...}}
    on_desired(patch)            with "$version"; which versions are old is the handler's affair
    on_command(name, payload) -> (status, result)
    on_message(payload, properties)   cloud-to-device; acknowledged when it has returned;
                                 raising leaves the message with the hub
    next_report() -> dict or None     asked when online and no patch is out
    on_reported(status)          204 = taken; else drop it or keep it for later
    on_report_lost()             no answer came: report it again
    on_online()

Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol"; azure-sdk-for-c,
"MQTT state machine".
"""

from micropython import const

from iothub import topics
from iothub.backoff import Backoff
from iothub.counters import Counters
from iothub.credential import SasCredential
from iothub.errors import LinkError, ProtocolError
from iothub.methods import MethodExchange
from iothub.mqtt import Client
from iothub.packets import CONNACK, PUBACK, SUBACK
from iothub.twin import TwinExchange

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

(
    _DUE,
    _OPEN,
    _ACCEPTED,
    _SUBSCRIBED,
    _TWIN_READ,
    _TOKEN_DUE,
    _QUIET,
    _FAILED,
    _REFUSED,
    _STOP,
    _START,
) = range(11)

# The longest that step() asks to sleep: time-outs, token and reports are looked at this often
_LONGEST_SLEEP_MS = const(1000)
# While a peer owes us the next move of a handshake or takes our bytes slowly
_SHORT_SLEEP_MS = const(20)
# Packets handled in one step: a flood must leave the other tasks their turn
_MOST_PACKETS = const(16)
# Online for so long, and the next failure starts the backoff anew. Two devices that share an
# id throw each other out at once; without this they would do so once a second for ever.
_SETTLED_AFTER_MS = const(30_000)

_REFUSALS = {
    1: "the hub does not speak MQTT 3.1.1 (CONNACK 1)",
    2: "the hub refused the device id as client id (CONNACK 2): check DeviceId",
    3: "the hub is unavailable (CONNACK 3)",
}
_CREDENTIAL = (
    "the hub refused the credential (CONNACK %d): check HostName, DeviceId and SharedAccessKey, "
    "that the device is enabled, and that its clock is right"
)
_UNAVAILABLE = const(3)


class Session:
    """One device's connection to its hub, through every outage, driven by `step()`.

    `identity`: see `iothub.identity`. `dialer.dial(host, port)` gives a link: `ready()`,
    `read_into(buffer, offset, size)`, `write(buffer, offset, size)`, `close()`, none of which
    waits, each raising OSError only. `random_below(n)`: an int in [0, n). `outbox`: see
    `iothub.outbox`. `settings`: see `iothub.settings`.
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
        user = topics.user_name(identity, settings.product, settings.model_id)
        self._client = Client(identity.device_id, identity.host, user, clock, settings)
        self._client.set_callback(self._on_publish)
        self._twin = TwinExchange(
            self._client,
            handler,
            Backoff(random_below, settings.backoff_base_ms, settings.backoff_cap_ms),
            clock,
            log,
            self.counters,
            settings.answer_timeout_ms,
        )
        self._methods = MethodExchange(outbox, handler, log, self.counters)
        self._filters = (
            topics.messages(identity.device_id),
            topics.TWIN_ANSWERS,
            topics.DESIRED_PATCHES,
            topics.METHODS,
        )
        self._since = clock.ticks_ms()  # when the state was entered
        self._wait_ms = 0  # in OFFLINE, before the next dial
        self._progress = self._since  # when the hub last acknowledged, or had nothing to
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

    def telemetry_topic(self, component=""):
        """The topic of `component`'s telemetry ("" = root); build it once and keep it."""
        return topics.telemetry(self._identity.device_id, component)

    def send(self, topic, payload, size):
        """Put `payload[:size]` (JSON) under the session's care; False if it can never be sent.

        QoS 1. It leaves at once if the window allows, else later, with the time it was made.
        """
        at_once = self.state == ONLINE and not self._client.is_sending()
        made = b"" if self.state == ONLINE else topics.created(self._clock.utc_text())
        if not self._outbox.put_telemetry(topic, payload, size, made, at_once):
            self.counters.refused += 1
            self._log.warning("telemetry of %d bytes is too long to be sent", size)
            return False
        if at_once and self._send_error is None:
            try:
                self._send_waiting()
            except LinkError as error:
                self._send_error = error
        return True

    def step(self):
        """Do all that can be done now; return the ms until it wants to run again (<= 1000).

        Never waits; never raises for what a peer does. What a handler raises passes through,
        `on_message` excepted.
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
            return _LONGEST_SLEEP_MS
        left_ms = self._wait_ms - self._elapsed_ms()
        if left_ms <= 0:
            self._fire(_DUE)
            return 0
        return min(left_ms, _LONGEST_SLEEP_MS)

    def _connect(self):
        """CONNECTING: first the link, then the hub's CONNACK."""
        if not self.is_open:
            if self._is_ready():
                self._fire(_OPEN)
            elif self._elapsed_ms() > self._settings.dial_timeout_ms:
                raise LinkError("no connection in time")
            return _SHORT_SLEEP_MS
        self._expect_within(self._settings.packet_timeout_ms + self._settings.answer_timeout_ms)
        self._exchange()
        return _SHORT_SLEEP_MS

    def _subscribe(self):
        """SUBSCRIBING"""
        self._expect_within(self._settings.answer_timeout_ms)
        return self._exchange()

    def _reconcile(self):
        """RECONCILING"""
        delay_ms = self._exchange()
        if self._twin.is_read and self.state == RECONCILING:
            self._fire(_TWIN_READ)
            return 0
        return delay_ms

    def _serve(self):
        """ONLINE"""
        delay_ms = self._exchange()
        if self.state == ONLINE:
            self._send_waiting()
            self._look_after()
        return _SHORT_SLEEP_MS if self._client.is_sending() else delay_ms

    def _finish(self):
        """RENEWING, STOPPING: what is out comes home, for a bounded time."""
        self._exchange()
        if self.state == STOPPING:
            self._send_waiting()
            is_quiet = self._outbox.is_empty()
        else:
            is_quiet = not self._outbox.in_flight() and not self._twin.is_reporting()
        is_quiet = is_quiet and not self._client.is_sending()
        if is_quiet or self._elapsed_ms() > self._settings.drain_timeout_ms:
            self._fire(_QUIET)
            return 0
        return _SHORT_SLEEP_MS

    def _rest(self):
        """STOPPED"""
        return _LONGEST_SLEEP_MS

    # ---- actions of the table

    def _dial(self):
        self._told_no_date = False
        try:
            self.link = self._dialer.dial(self._identity.dial_host(), self._settings.port)
        except OSError as error:
            raise LinkError(str(error)) from error

    def _greet(self):
        self.is_open = True
        self._client.open(self.link)
        self._client.pswd = self._credential.password()
        self._client.connect(clean_session=False)
        self._client.pswd = None

    def _ask(self):
        self._client.subscribe(self._filters, self._outbox.next_id())
        self._twin.begin()

    def _arrive(self):
        self.counters.connects += 1
        self._progress = self._clock.ticks_ms()
        self._is_settled = False
        self._log.info("online as %s", self._identity.device_id)
        self._handler.on_online()

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
        self.counters.failures += 1
        self._drop_link()
        self._wait_ms = self._backoff.slow_ms()

    def _leave(self):
        self._hang_up()
        self._log.info("stopped")

    def _again(self):
        self._wait_ms = 0

    # ---- the machine

    def _fire(self, event):
        """Take the transition; an action may raise, then the state is already the next."""
        action, self.state = _TABLE[event][self.state]
        self._since = self._clock.ticks_ms()
        if action is not None:
            action(self)

    def _fail(self, error):
        name = STATE_NAMES[self.state]
        # A certificate that was refused stays so until somebody acts
        if str(error).startswith("TLS: "):
            self._fire(_REFUSED)
        else:
            self._fire(_FAILED)
        if self.state == OFFLINE:
            self._log.warning("%s: %s; next try in %d s", name, error, self._wait_ms // 1000)

    def _hang_up(self):
        self._client.disconnect()
        self._drop_link()

    def _drop_link(self):
        link, self.link = self.link, None
        self.is_open = False
        self._send_error = None
        self._client.close()
        if link is not None:
            link.close()
        self._outbox.link_lost()
        self._methods.link_lost()
        self._twin.link_lost()

    def _elapsed_ms(self):
        return self._clock.ticks_diff(self._clock.ticks_ms(), self._since)

    def _expect_within(self, limit_ms):
        if self._elapsed_ms() > limit_ms:
            raise LinkError("no answer in time")

    def _is_ready(self):
        try:
            return self.link.ready()
        except OSError as error:
            raise LinkError(str(error)) from error

    # ---- traffic

    def _exchange(self):
        """Send what is begun, handle what has arrived; when to come back."""
        if not self._client.flush():
            return _SHORT_SLEEP_MS
        for _ in range(_MOST_PACKETS):
            kind = self._client.check_msg()
            if kind is None:
                break
            self._take(kind)
            if self.link is None:
                return 0
        else:
            return 0
        if self.state != CONNECTING:
            self._twin.tend()
            self._client.keep_alive()
        return 0 if self._client.has_more else _LONGEST_SLEEP_MS

    def _take(self, kind):
        if kind == PUBACK:
            if self._outbox.acknowledge(self._client.packet_id):
                self._progress = self._clock.ticks_ms()
            else:
                self.counters.malformed += 1
            if self.state == ONLINE:
                self._send_waiting()
        elif kind == CONNACK:
            self._take_connack(self._client.return_code)
        elif kind == SUBACK:
            if self._client.refused_filters:
                raise ProtocolError("the hub refused a subscription")
            self._fire(_SUBSCRIBED)

    def _take_connack(self, code):
        if code == 0:
            self._fire(_ACCEPTED)
            return
        text = _REFUSALS.get(code) or _CREDENTIAL % code
        self._fire(_FAILED if code == _UNAVAILABLE else _REFUSED)
        self._log.error("%s; next try in %d s", text, self._wait_ms // 1000)

    def _send_waiting(self):
        while not self._client.is_sending():
            slot = self._outbox.next()
            if slot < 0:
                return
            if not self._outbox.in_flight():
                self._progress = self._clock.ticks_ms()
            self._outbox.mark_sent()
            self._client.transmit(
                self._outbox.slots, self._outbox.offset(slot), self._outbox.size(slot)
            )

    def _look_after(self):
        """ONLINE: acknowledgements in time, the next report, the token, the backoff."""
        if self._outbox.in_flight():
            waited_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._progress)
            if waited_ms > self._settings.ack_timeout_ms:
                raise LinkError("no acknowledgement in time")
        if not self._client.is_sending():
            self._twin.report()
        if not self._is_settled and self._elapsed_ms() > _SETTLED_AFTER_MS:
            self._is_settled = True
            self._backoff.reset()
        if self._credential.is_due():
            self._fire(_TOKEN_DUE)

    def _on_publish(self, topic, body):
        """The client's callback. False leaves a packet unacknowledged."""
        try:
            arrival = topics.parse(topic, self._identity.device_id)
            if body is None:
                self.counters.oversize += 1
                self._log.error("too long for the receive buffer: %s", bytes(topic[:60]).decode())
            return self._dispatch(arrival, body)
        except ProtocolError as error:
            self.counters.malformed += 1
            self._log.warning("a packet from the hub was dropped: %s", error)
            return False

    def _dispatch(self, arrival, body):
        if arrival.kind == topics.TWIN_ANSWER:
            self._twin.on_answer(arrival, body)
        elif arrival.kind == topics.METHOD:
            self._methods.on_call(arrival, body)
        elif body is None:
            return False
        elif arrival.kind == topics.DESIRED:
            self._twin.on_desired(arrival, body)
        else:
            return self._on_message(body, arrival.properties)
        return True

    def _on_message(self, body, properties):
        try:
            self._handler.on_message(body, properties)
        except Exception as error:  # noqa: BLE001 - raising is how a handler declines a message
            self.counters.declined += 1
            self._log.error("a message was not handled and stays with the hub: %r", error)
            return False
        self.counters.messages += 1
        return True


_WORK = {
    OFFLINE: Session._wait,
    CONNECTING: Session._connect,
    SUBSCRIBING: Session._subscribe,
    RECONCILING: Session._reconcile,
    ONLINE: Session._serve,
    RENEWING: Session._finish,
    STOPPING: Session._finish,
    STOPPED: Session._rest,
}

_LOST = (Session._lose, OFFLINE)
_GIVEN_WAY = (Session._give_way, OFFLINE)
_LEFT = (Session._leave, STOPPED)

# event: {state: (action, next state)}; what is not here cannot happen
_TABLE = {
    _DUE: {OFFLINE: (Session._dial, CONNECTING)},
    _OPEN: {CONNECTING: (Session._greet, CONNECTING)},
    _ACCEPTED: {CONNECTING: (Session._ask, SUBSCRIBING)},
    _SUBSCRIBED: {SUBSCRIBING: (None, RECONCILING)},
    _TWIN_READ: {RECONCILING: (Session._arrive, ONLINE)},
    _TOKEN_DUE: {ONLINE: (None, RENEWING)},
    _QUIET: {RENEWING: (Session._renew, OFFLINE), STOPPING: _LEFT},
    _FAILED: {
        CONNECTING: _LOST,
        SUBSCRIBING: _LOST,
        RECONCILING: _LOST,
        ONLINE: _LOST,
        RENEWING: _LOST,
        STOPPING: _LEFT,
    },
    _REFUSED: {CONNECTING: _GIVEN_WAY, SUBSCRIBING: _GIVEN_WAY, STOPPING: _LEFT},
    _STOP: {
        OFFLINE: _LEFT,
        CONNECTING: _LEFT,
        SUBSCRIBING: _LEFT,
        RECONCILING: _LEFT,
        ONLINE: (None, STOPPING),
        RENEWING: (None, STOPPING),
    },
    _START: {STOPPED: (Session._again, OFFLINE)},
}
