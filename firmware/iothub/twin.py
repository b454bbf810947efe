"""The twin's exchange with the hub: read it, take desired patches, deliver reported ones.

One read and one reported patch are out at a time. All of it is QoS 0: what gets no answer in
time is asked again. What the properties mean is the handler's affair.
Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol".
"""

import json

from iothub import topics
from iothub.errors import LinkError, ProtocolError
from iothub.topics import parse_object, version_of
from micropython import const

_READ = const(200)
_TAKEN = const(204)
_TOO_LARGE = const(413)


class TwinExchange:
    """`client`: see `iothub.mqtt`; `handler`, `counters`: see `iothub.session`."""

    def __init__(self, client, handler, backoff, clock, log, counters, answer_timeout_ms):
        self.is_read = False  # the handler has had the whole twin, on this link
        self._client = client
        self._handler = handler
        self._backoff = backoff
        self._clock = clock
        self._log = log
        self._counters = counters
        self._answer_timeout_ms = answer_timeout_ms
        self._last_request = 0
        self._read_id = ""  # request out, "" = none
        self._report_id = ""
        self._asked = self._reported = clock.ticks_ms()
        self._pause_ms = -1  # before the read is asked again, -1 = no pause
        self._report_pause_ms = 0
        self._newest = -1  # version of desired patches that came before the twin

    def begin(self):
        """A new link: ask for the twin."""
        self.is_read = False
        self._newest = -1
        self._backoff.reset()
        self._report_pause_ms = 0
        self._ask()

    def link_lost(self):
        self._read_id = ""
        self._pause_ms = -1
        if self._report_id:
            self._report_id = ""
            self._handler.on_report_lost()

    def is_reporting(self):
        return bool(self._report_id)

    def tend(self):
        """Look after time-outs. Raises LinkError when the twin cannot be had."""
        waited_ms = self._age_ms(self._asked)
        if self._read_id and waited_ms > self._answer_timeout_ms:
            raise LinkError("no answer to the twin's read")
        if self._pause_ms >= 0 and waited_ms >= self._pause_ms and not self._client.is_sending():
            self._ask()
        if self._report_id and self._age_ms(self._reported) > self._answer_timeout_ms:
            self._report_id = ""
            self._log.warning("no answer to a reported patch; it is sent again")
            self._pause_reports()
            self._handler.on_report_lost()
        if self._report_pause_ms and self._age_ms(self._reported) >= self._report_pause_ms:
            self._report_pause_ms = 0

    def report(self):
        """Send the handler's next reported patch, if it has one and none is out."""
        if self._report_id or self._report_pause_ms:
            return
        patch = self._handler.next_report()
        if patch is None:
            return
        body = json.dumps(patch).encode()
        request_id = self._next_id()
        topic = topics.reported_patch(request_id)
        self._reported = self._clock.ticks_ms()
        if not self._client.can_publish(topic, body):
            self._log.error("a reported patch of %d bytes exceeds the send buffer", len(body))
            self._handler.on_reported(_TOO_LARGE)
            return
        self._report_id = request_id
        self._client.publish(topic, body)
        self._client.flush()

    def on_answer(self, arrival, body):
        if arrival.request_id == self._read_id:
            self._read_id = ""
            self._on_read(arrival.status, body)
        elif arrival.request_id == self._report_id:
            self._report_id = ""
            self._on_reported(arrival.status)
        # else: the answer to a request given up on

    def on_desired(self, arrival, body):
        """A patch that overtakes the twin is not applied: the twin then has to be as new."""
        patch = parse_object(body)
        if "$version" not in patch:
            patch["$version"] = arrival.version
        version = version_of(patch)
        if not self.is_read:
            self._newest = max(self._newest, version)
            return
        self._counters.patches += 1
        self._handler.on_desired(patch)

    def _on_read(self, status, body):
        if status != _READ:
            self._log.warning("the hub answers the twin's read with %d", status)
            self._pause()
        elif body is None:
            # Known to be there, and never to fit: the rest of the device can still work
            self._log.error("the twin exceeds the receive buffer: desired values are unknown")
            self.is_read = True
        else:
            self._take(body)

    def _take(self, body):
        try:
            twin = parse_object(body)
            desired = twin.get("desired")
            if not isinstance(desired, dict) or not isinstance(twin.get("reported"), dict):
                raise ProtocolError("a twin without its two sections")
            version = version_of(desired)
        except ProtocolError as error:
            self._counters.malformed += 1
            self._log.warning("the twin is unusable: %s", error)
            self._pause()
            return
        if version < self._newest:
            self._newest = -1
            self._ask()
            return
        self.is_read = True
        self._handler.on_twin(twin)

    def _on_reported(self, status):
        if status == _TAKEN:
            self._counters.reports += 1
            self._report_pause_ms = 0
            self._backoff.reset()
        else:
            self._log.warning("the hub answers a reported patch with %d", status)
            self._pause_reports()
        self._handler.on_reported(status)

    def _ask(self):
        self._pause_ms = -1
        self._read_id = self._next_id()
        self._asked = self._clock.ticks_ms()
        self._client.publish(topics.twin_get(self._read_id), b"")
        self._client.flush()

    def _pause(self):
        self._asked = self._clock.ticks_ms()
        self._pause_ms = self._backoff.next_ms()

    def _pause_reports(self):
        self._reported = self._clock.ticks_ms()
        self._report_pause_ms = 1 + self._backoff.next_ms()

    def _next_id(self):
        self._last_request += 1
        return "%d" % self._last_request

    def _age_ms(self, since):
        return self._clock.ticks_diff(self._clock.ticks_ms(), since)
