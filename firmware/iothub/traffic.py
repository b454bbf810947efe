"""What is said on a link: packets in order, arrivals to those whom they concern.

It knows nothing of why a link was made or what follows its loss; that is `iothub.session`.
"""

from iothub import topics
from iothub.backoff import Backoff
from iothub.errors import Declined, LinkError, ProtocolError
from iothub.methods import MethodExchange
from iothub.mqtt import Client
from iothub.packets import CONNACK, PUBACK, SUBACK
from iothub.twin import TwinExchange
from micropython import const

# What `exchange()` has met that is the session's affair
_NOTHING = const(0)
ACCEPTED = const(1)
REFUSED = const(2)
UNAVAILABLE = const(3)
SUBSCRIBED = const(4)

# While a peer owes us the next move of a handshake or takes our bytes slowly
SHORT_PAUSE_MS = const(20)
# The longest that anybody sleeps: time-outs, token and reports are looked at this often
LONG_PAUSE_MS = const(1000)
# Packets handled at a time: a flood must leave the other tasks their turn
_MOST_PACKETS = const(16)

_ACCEPTED_CODE = const(0)
_UNAVAILABLE_CODE = const(3)


class Traffic:
    """`open()` to `close()` is one link; the arguments are those of `iothub.session.Session`."""

    def __init__(self, identity, clock, random_below, outbox, log, handler, settings, counters):
        self.is_flowing = False  # the outbox may be emptied
        self.pause_ms = 0  # after `exchange()`: when to call it again, if no data comes before
        self._device_id = identity.device_id
        self._clock = clock
        self._outbox = outbox
        self._log = log
        self._handler = handler
        self._counters = counters
        self._ack_timeout_ms = settings.ack_timeout_ms
        self._progress = 0  # when the hub last acknowledged, or had nothing to
        user = topics.user_name(identity, settings.product, settings.model_id)
        self._client = Client(identity.device_id, identity.host, user, clock, settings)
        self._client.set_callback(self._on_publish)
        self._methods = MethodExchange(outbox, handler, log, counters)
        self.twin = TwinExchange(
            self._client,
            handler,
            Backoff(random_below, settings.backoff_base_ms, settings.backoff_cap_ms),
            clock,
            log,
            counters,
            settings.answer_timeout_ms,
        )

    # ---- a link's life

    def open(self, link, password):
        """Send CONNECT. Clean session 0: what the hub kept for us while away arrives."""
        self._client.open(link)
        self._client.pswd = password
        self._client.connect(clean_session=False)
        self._client.pswd = None

    def ask(self):
        """Subscribe and read the twin, in one flight."""
        self._client.subscribe(topics.filters(self._device_id), self._outbox.next_id())
        self.twin.begin()

    def farewell(self):
        self._client.disconnect()

    def close(self):
        """The link is gone; what was not acknowledged will be sent again."""
        self.is_flowing = False
        self._client.close()
        self._outbox.link_lost()
        self._methods.link_lost()
        self.twin.link_lost()

    # ---- out

    def send_waiting(self):
        """Send from the outbox what its window and the link allow. Raises LinkError."""
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

    def can_send(self):
        return self.is_flowing and not self._client.is_sending()

    def is_quiet(self):
        """Nothing is out that an answer is expected to."""
        return not (
            self._outbox.in_flight() or self.twin.is_reporting() or self._client.is_sending()
        )

    # ---- in

    def exchange(self):
        """Send what is begun, handle what has arrived. Raises LinkError, ProtocolError.

        Answers at most one of the constants above; there may be more behind it.
        """
        self.pause_ms = SHORT_PAUSE_MS
        if not self._client.flush():
            return _NOTHING
        for _ in range(_MOST_PACKETS):
            kind = self._client.check_msg()
            if kind is None:
                break
            event = self._take(kind)
            if event:
                return event
        else:
            self.pause_ms = 0
            return _NOTHING
        if not self._client.is_sending():
            self.pause_ms = 0 if self._client.has_more() else LONG_PAUSE_MS
        return _NOTHING

    def tend(self):
        """Once subscribed: time-outs and keep-alive; with the outbox flowing, reports too."""
        self._client.keep_alive()
        self.twin.tend()
        if not self.is_flowing:
            return
        if self._outbox.in_flight():
            waited_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._progress)
            if waited_ms > self._ack_timeout_ms:
                raise LinkError("no acknowledgement in time")
        if not self._client.is_sending():
            self.twin.report()

    def _take(self, kind):
        if kind == PUBACK:
            self._take_puback()
        elif kind == CONNACK:
            code = self._client.return_code
            if code == _ACCEPTED_CODE:
                return ACCEPTED
            return UNAVAILABLE if code == _UNAVAILABLE_CODE else REFUSED
        elif kind == SUBACK:
            if self._client.refused_filters:
                raise ProtocolError("the hub refused a subscription")
            return SUBSCRIBED
        return _NOTHING

    def _take_puback(self):
        if self._outbox.acknowledge(self._client.packet_id):
            self._progress = self._clock.ticks_ms()
        else:
            self._counters.malformed += 1
        if self.is_flowing:
            self.send_waiting()

    def refusal_code(self):
        return self._client.return_code

    # ---- arrivals

    def _on_publish(self, topic, body):
        """The client's callback. False leaves a packet unacknowledged."""
        try:
            arrival = topics.parse(topic, self._device_id)
            if body is None:
                self._counters.oversize += 1
                self._log.error("too long for the receive buffer: %s", topic[:60].decode())
            return self._dispatch(arrival, body)
        except ProtocolError as error:
            self._counters.malformed += 1
            self._log.warning("a packet from the hub was dropped: %s", error)
            return False

    def _dispatch(self, arrival, body):
        if arrival.kind == topics.TWIN_ANSWER:
            self.twin.on_answer(arrival, body)
        elif arrival.kind == topics.METHOD:
            self._methods.on_call(arrival, body)
        elif body is None:
            return False
        elif arrival.kind == topics.DESIRED:
            self.twin.on_desired(arrival, body)
        else:
            return self._on_message(body, arrival.properties)
        return True

    def _on_message(self, body, properties):
        try:
            self._handler.on_message(body, properties)
        except (Declined, MemoryError) as error:
            self._counters.declined += 1
            self._log.warning("a message stays with the hub: %r", error)
            return False
        self._counters.messages += 1
        return True
