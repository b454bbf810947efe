"""Direct methods: each call gets one answer, and a repeated call no second effect.

Source: Microsoft, "Understand and invoke direct methods from IoT Hub".
"""

import json

from iothub import topics
from iothub.errors import ProtocolError
from iothub.topics import parse_json
from micropython import const

_REMEMBERED = const(16)
_BAD_REQUEST = const(400)
_TOO_LARGE = const(413)
_FAILED = const(500)


class MethodExchange:
    """`outbox` carries the answers; `handler`, `counters`: see `iothub.session`."""

    def __init__(self, outbox, handler, log, counters):
        self._outbox = outbox
        self._handler = handler
        self._log = log
        self._counters = counters
        self._answered = []  # ((request id, name), (topic, body)), the oldest first

    def link_lost(self):
        """Forget the calls: the hub repeats none on a new link, and may count ids anew."""
        self._answered.clear()

    def on_call(self, arrival, body):
        """Have the call done and queue its answer; `body` None: it was too long to be read."""
        call = (arrival.request_id, arrival.name)
        for answered, answer in self._answered:
            if answered == call:
                self._counters.repeats += 1
                self._queue(answer)
                return
        self._counters.commands += 1
        status, result = self._perform(arrival.name, body)
        answer = self._answer(arrival.request_id, status, result)
        if len(self._answered) == _REMEMBERED:
            self._answered.pop(0)
        self._answered.append((call, answer))
        self._queue(answer)

    def _perform(self, name, body):
        if body is None:
            return _TOO_LARGE, None
        try:
            payload = parse_json(body) if body else None
        except ProtocolError:
            self._counters.malformed += 1
            return _BAD_REQUEST, None
        try:
            return self._handler.on_command(name, payload)
        except MemoryError:
            # An answer costs less than what failed: the caller need not wait in vain
            self._log.error("no memory for command %s", name)
            return _FAILED, None

    def _answer(self, request_id, status, result):
        """Topic and body; what the outbox can never carry becomes a plain failure."""
        body = b"" if result is None else json.dumps(result).encode()
        topic = topics.method_answer(status, request_id)
        if self._outbox.can_carry(topic, body):
            return topic, body
        self._log.error("a command answer of %d bytes is too long", len(body))
        return topics.method_answer(_FAILED, request_id), b""

    def _queue(self, answer):
        if not self._outbox.put_answer(answer[0], answer[1]):
            self._counters.unanswered += 1
            self._log.warning("too many command answers wait: one is not given")
