"""What device and hub say to each other on a link: telemetry, twin, commands, messages.

It knows nothing of why a link was made or what follows its loss; that is `iothub.session`. For
the handler see there too. One twin request is out at a time, first the read, then reported
patches; all of it is QoS 0: what gets no answer in time is asked again.

Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol"; "Understand and invoke
direct methods from IoT Hub".
"""

import json

from iothub.errors import Declined, LinkError, ProtocolError
from iothub.mqtt import Client
from iothub.topics import heads, parse
from micropython import const

# What `check_msg()` answers: first bytes of packets
_CONNACK = const(0x20)
_PUBACK = const(0x40)
_SUBACK = const(0x90)

# While a peer owes us the next move of a handshake or takes our bytes slowly
_SHORT_PAUSE_MS = const(20)
# The longest that anybody sleeps: time-outs, token and reports are looked at this often
_LONG_PAUSE_MS = const(1000)
# Packets handled at a time: a flood must leave the other tasks their turn
_MOST_PACKETS = const(16)
# Commands whose answer is kept for the case that they are repeated
_REMEMBERED = const(16)

# Places in `topics.heads()`
_TWIN_ANSWER = const(0)
_DESIRED = const(1)
_METHOD = const(2)

_OK = const(200)
_NO_CONTENT = const(204)
_BAD_REQUEST = const(400)
_TOO_LARGE = const(413)
_FAILED = const(500)
# Topic and head of a reported patch, or of a command's answer but for its request id
_FRAME_BYTES = const(64)


class Exchange(Client):
    """`open()` to `close()` is one link; the arguments are those of `iothub.session.Session`."""

    def __init__(self, identity, clock, random_below, outbox, log, handler, settings):
        self.is_flowing = False  # telemetry and reports may leave; the session says when
        self.is_read = False  # the handler has had the whole twin, on this link
        self.pause_ms = 0  # after `exchange()`: when to call it again, if no data comes before
        self.commands = 0
        self.unanswered = 0  # of these, for whose answer there was no room
        self.messages = 0  # cloud-to-device, handled and acknowledged
        self.malformed = 0  # packets dropped for their topic, body or length
        self.random_below = random_below
        self.outbox = outbox
        self.log = log
        self.handler = handler
        self._heads = heads(identity.device_id)
        self._request_id = ""  # of the twin request that is out, "" = none
        self._requests = 0
        self._answered = []  # ((request id, name), topic, body), the oldest first
        Client.__init__(self, identity.device_id.encode(), identity.host, clock, settings)
        self.cb = self._on_publish

    # ---- a link's life

    def _ask(self):
        """Subscribe and read the twin, in one flight."""
        self.is_read = self._is_stale = False
        self._pause_ms = 0  # before the next twin request ...
        self._backoff_ms = self.settings.backoff_base_ms  # ... and how it grows
        filters = [(head + "#").encode() for head in self._heads]
        self.subscribe(filters, self.outbox.next_id())
        self._read_twin()

    def close(self):
        """The link is gone; what was not acknowledged will be sent again."""
        Client.close(self)
        self.outbox.reset()
        # The hub repeats no command on a new link, and may count ids anew
        self._answered.clear()
        if self._request_id:
            self._request_id = ""
            if self.is_read:
                self.handler.on_report_lost()

    def exchange(self):
        """Send what is begun, handle what has arrived. Raises LinkError, ProtocolError.

        Answers CONNACK or SUBACK after one, else 0; there may be more behind it.
        """
        self.pause_ms = _SHORT_PAUSE_MS
        self.flush()
        for _ in range(_MOST_PACKETS):
            kind = self.check_msg()
            if kind is None:
                if not self.left:
                    self.pause_ms = 0 if self.has_more else _LONG_PAUSE_MS
                return 0
            if kind == _CONNACK:
                if self.return_code:
                    from iothub.greeting import refusal

                    raise refusal(self.return_code)
                self._ask()
            if kind == _CONNACK or kind == _SUBACK:
                return kind
            if kind == _PUBACK:
                if self.outbox.acknowledge(self.packet_id):
                    self._progress = self.clock.ticks_ms()
                else:
                    self.malformed += 1
                self.send()
        self.pause_ms = 0
        return 0

    def tend(self):
        """Once subscribed: time-outs, keep-alive, twin requests."""
        self.keep_alive()
        if self.outbox.in_flight and self.age_ms(self._progress) > self.settings.ack_timeout_ms:
            raise LinkError("no acknowledgement in time")
        age_ms = self.age_ms(self._asked)
        if self._pause_ms and age_ms >= self._pause_ms:
            self._pause_ms = 0
        if self._request_id:
            if age_ms > self.settings.answer_timeout_ms:
                if not self.is_read:
                    raise LinkError("no answer to the twin's read")
                self.log.warning("no answer to a reported patch")
                self._request_id = ""
                self._pause()
                self.handler.on_report_lost()
        elif not self._pause_ms and not self.left:
            if not self.is_read:
                self._read_twin()
            elif self.is_flowing:
                self._report()

    def is_quiet(self):
        """Nothing is out that an answer is expected to."""
        return not (self.outbox.in_flight or self._request_id or self.left)

    # ---- telemetry and answers to commands

    def send(self):
        """Send from the outbox what its window and the link allow. Raises LinkError.

        Who has called waits for seconds: answers leave on any link that the hub has accepted.
        """
        if not self.return_code:
            if not self.outbox.in_flight:
                self._progress = self.clock.ticks_ms()
            self.outbox.send(self, not self.is_flowing)

    # ---- arrivals

    def _on_publish(self, topic, body):
        """The callback. False leaves a packet unacknowledged."""
        try:
            kind, what, request_id = parse(topic, self._heads)
            if body is None:
                self.malformed += 1
                self.log.error("longer than receive_bytes: %r", topic[:60])
            if kind == _METHOD:
                self._on_command(what, request_id, body)
            elif kind == _TWIN_ANSWER:
                self._on_answer(what, request_id, body)
            elif body is None:
                return False
            elif kind == _DESIRED:
                self._on_desired(body)
            else:
                return self._on_message(body, what)
        except ProtocolError as error:
            self.malformed += 1
            self.log.warning("dropped a packet: %s", error)
            return False

    def _on_message(self, body, properties):
        try:
            self.handler.on_message(body, properties)
        except (Declined, MemoryError) as error:
            self.log.warning("a message stays with the hub: %r", error)
            return False
        self.messages += 1

    def _on_command(self, name, request_id, body):
        """Each call gets one answer, and a repeated call no second effect."""
        call = (request_id, name)
        topic = None
        for known in self._answered:
            if known[0] == call:
                _, topic, answer = known
        if topic is None:
            self.commands += 1
            status, result = self._perform(name, body)
            answer = b"" if result is None else json.dumps(result).encode()
            if not self.outbox.fits(len(answer) + _FRAME_BYTES + len(request_id)):
                self.log.error("an answer of %d bytes exceeds packet_bytes", len(answer))
                status, answer = _FAILED, b""
            topic = b"$iothub/methods/res/%d/?$rid=%s" % (status, request_id.encode())
            self._answered.append((call, topic, answer))
            del self._answered[:-_REMEMBERED]
        if not self.outbox.answers.put(topic, b"", answer, len(answer)):
            self.unanswered += 1
            self.log.warning("too many answers wait: one is dropped")

    def _perform(self, name, body):
        """(status, result)"""
        if body is None:
            return _TOO_LARGE, None
        try:
            payload = _parse_json(body) if body else None
        except ProtocolError:
            self.malformed += 1
            return _BAD_REQUEST, None
        try:
            return self.handler.on_command(name, payload)
        except MemoryError:
            # An answer costs less than what failed: the caller need not wait in vain
            self.log.error("no memory for command %s", name)
            return _FAILED, None

    # ---- twin

    def _on_desired(self, body):
        patch = _parse_json(body)
        if not _is_versioned(patch):
            raise ProtocolError("a desired patch without a $version")
        if self.is_read:
            self.handler.on_desired(patch)
        else:
            # It overtakes the twin, which then may be older: that has to be read again
            self._is_stale = True

    def _on_answer(self, status, request_id, body):
        if request_id != self._request_id:
            return  # the answer to a request given up on
        self._request_id = ""
        if not self.is_read:
            self._on_read(status, body)
            return
        if status == _NO_CONTENT:
            self._backoff_ms = self.settings.backoff_base_ms
        else:
            self.log.warning("a reported patch is answered %d", status)
            self._pause()
        self.handler.on_reported(status)

    def _on_read(self, status, body):
        self._pause()
        if status != _OK:
            self.log.warning("the twin's read is answered %d", status)
            return
        twin = None
        if body is not None:
            twin = _parse_json(body)
            desired = twin.get("desired") if isinstance(twin, dict) else None
            if not _is_versioned(desired) or not isinstance(twin.get("reported"), dict):
                raise ProtocolError("a twin without its two sections")
        self._pause_ms = 0
        if self._is_stale:
            self._is_stale = False
            self._read_twin()
            return
        self.is_read = True
        # A twin too long will never fit: the rest of the device can still work
        if twin is not None:
            self.handler.on_twin(twin)

    def _report(self):
        """Send the handler's next reported patch, if it has one."""
        patch = self.handler.next_report()
        if patch is not None:
            body = json.dumps(patch).encode()
            if self.has_room(len(body) + _FRAME_BYTES):
                self._request(b"$iothub/twin/PATCH/properties/reported/?$rid=", body)
            else:
                self.log.error("a report of %d bytes exceeds send_bytes", len(body))
                self.handler.on_reported(_TOO_LARGE)

    def _read_twin(self):
        self._request(b"$iothub/twin/GET/?$rid=", b"")

    def _request(self, topic, body):
        self._requests += 1
        self._request_id = "%d" % self._requests
        self._asked = self.clock.ticks_ms()
        self.publish(topic + self._request_id.encode(), body)
        self.flush()

    def _pause(self):
        self._asked = self.clock.ticks_ms()
        self._pause_ms = 1 + self.random_below(self._backoff_ms)
        self._backoff_ms = min(self.settings.backoff_cap_ms, self._backoff_ms * 2)


def _parse_json(body):
    """The value in `body` (bytes). Raises ProtocolError when it is no JSON, or too much."""
    try:
        return json.loads(body)
    except (ValueError, MemoryError, RuntimeError):
        # RuntimeError: nested deeper than the interpreter follows
        raise ProtocolError("no JSON, or too large for the heap")


def _is_versioned(section):
    return isinstance(section, dict) and type(section.get("$version")) is int
