"""The Device Provisioning Service: asks which hub is the device's. In the heap only for that.

    waiting       for the pause before a try, and for the date
    connecting    link, then CONNACK
    subscribing
    asking        a request is out: to register, then for the operation's status
    pausing       as long as the service said, then asking again
    assigned      `host` and `device_id` say where to

What ends a try leads back to waiting: a broken link after full-jitter backoff; a refusal
(CONNACK, 300 to 428, failed, disabled) after the long wait, for somebody has to act. Answers of
429 and above are asked again when the service says. The method of a state does its work.

Sources: Microsoft, "Communicate with DPS using the MQTT protocol"; "Symmetric key attestation".
"""

import json

from iothub.errors import LinkError, ProtocolError, RefusedError
from iothub.greeting import connect
from iothub.identity import IdentityError, parse
from iothub.mqtt import Client
from iothub.sas import build_token
from iothub.topics import encode, parse_bag
from micropython import const

_API_VERSION = const("2019-03-31")
_ANSWERS = const("$dps/registrations/res/")
_REGISTER = const("$dps/registrations/PUT/iotdps-register/?$rid=%d")
_STATUS = const("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%d&operationId=%s")
_RESOURCE = const("%s/registrations/%s")
_CONNACK = const(0x20)
_SUBACK = const(0x90)
_UNAVAILABLE_CODE = const(3)

_TOKEN_LIFE_S = const(3600)
_SHORT_PAUSE_MS = const(20)
_LONG_PAUSE_MS = const(1000)
# Where the service does not say; the longest that it may say
_RETRY_AFTER_S = const(3)
_LONGEST_RETRY_S = const(600)
# An assignment takes seconds. After so many questions the try is given up
_MOST_QUESTIONS = const(40)
_LONGEST_OPERATION = const(256)

# Made once: built where it is needed, it would take heap when there is none
_LOSSES = (LinkError, ProtocolError, MemoryError)


class Provisioning:
    """One device's way to its hub, driven by `step()`, as a Session is.

    `identity`: host = the id scope, device_id = the registration id, dial_host = the service's.
    `payload` (JSON value) is what the device says of itself. The others: see `iothub.session`.
    """

    def __init__(self, identity, payload, dialer, clock, random_below, log, settings):
        self.state = "waiting"
        self.host = self.device_id = ""
        self.failures = 0
        self.clock = clock
        self.log = log
        self.settings = settings
        self.identity = identity
        self._payload = payload
        self._dialer = dialer
        self._random_below = random_below
        name = identity.device_id.encode()
        self._client = Client(name, identity.dial_host, clock, settings)
        self._client.cb = self._on_publish
        self._link = None
        self._operation = ""
        self._questions = 0
        self._answer = None  # (status, retry-after in s, document) of the request that is out
        self._told = False  # that the date is not known
        self._wait_ms = 0
        self._backoff_ms = settings.backoff_base_ms
        self._since = clock.ticks_ms()  # when the state was entered

    def step(self):
        """Do all that can be done now; return the ms until it wants to run again (<= 1000).
        Never waits, and never raises for what a peer does, nor for want of heap."""
        try:
            return getattr(Provisioning, self.state)(self)
        except _LOSSES as error:
            try:
                self._fail(error)
            except MemoryError:
                pass  # not even for telling
        return 0

    # ---- work of the states

    def waiting(self):
        if not self.clock.unix_time():
            if not self._told:
                self._told = True
                self.log.warning("the date is not known: waiting for it")
            self._since = self.clock.ticks_ms()
            self._wait_ms = 0
            return _LONG_PAUSE_MS
        left_ms = self._wait_ms - self._client.age_ms(self._since)
        if left_ms > 0:
            return min(left_ms, _LONG_PAUSE_MS)
        try:
            self._link = self._dialer.dial(self.identity.dial_host, self.settings.port)
        except OSError as error:
            raise LinkError(str(error))
        return self._enter("connecting")

    def connecting(self):
        client, settings = self._client, self.settings
        if client.link is None:
            try:
                if not self._link.ready():
                    return self._expect(settings.dial_timeout_ms)
            except OSError as error:
                raise LinkError(str(error))
            client.open(self._link)
            connect(client, self._user(), self._token())
            return self._enter("connecting")
        if self._received() != _CONNACK:
            # TLS shakes hands while CONNECT is on its way
            return self._expect(settings.packet_timeout_ms + settings.answer_timeout_ms)
        if client.return_code == _UNAVAILABLE_CODE:
            raise LinkError("the service is unavailable")
        if client.return_code:
            raise RefusedError(
                "refused (CONNACK %d): check id scope, registration id and key or certificate, "
                "that there is an enrollment, and the clock" % client.return_code
            )
        client.subscribe([(_ANSWERS + "#").encode()], 1)
        client.flush()
        self._operation = ""
        self._questions = 0
        return self._enter("subscribing")

    def subscribing(self):
        if self._received() == _SUBACK:
            return self._ask()
        return self._expect(self.settings.answer_timeout_ms)

    def asking(self):
        self._received()
        if self._answer is not None:
            return self._judge(*self._answer)
        return self._expect(self.settings.answer_timeout_ms)

    def pausing(self):
        self._received()
        self._client.keep_alive()
        left_ms = self._wait_ms - self._client.age_ms(self._since)
        return min(left_ms, _LONG_PAUSE_MS) if left_ms > 0 else self._ask()

    def assigned(self):
        return _LONG_PAUSE_MS

    # ---- the dialogue

    def _user(self):
        who = self.identity
        user = (_RESOURCE + "/api-version=" + _API_VERSION) % (who.host, who.device_id)
        return user.encode()

    def _token(self):
        """None for a device with a certificate."""
        if self.identity.key is None:
            return None
        expiry_s = self.clock.unix_time() + _TOKEN_LIFE_S
        return build_token(self.identity, expiry_s, _RESOURCE) + b"&skn=registration"

    def _ask(self):
        self._questions += 1
        if self._questions > _MOST_QUESTIONS:
            raise LinkError("no assignment in time")
        topic, body = _REGISTER % self._questions, b""
        if self._operation:
            topic = _STATUS % (self._questions, encode(self._operation).decode())
        else:
            content = {"registrationId": self.identity.device_id, "payload": self._payload}
            body = json.dumps(content).encode()
        self._answer = None
        self._client.publish(topic.encode(), body)
        self._client.flush()
        return self._enter("asking")

    def _on_publish(self, topic, body):
        """The client's callback: keep the answer to the request that is out."""
        try:
            topic = topic.decode()
            if not topic.startswith(_ANSWERS) or body is None:
                raise ValueError
            status, _, query = topic[len(_ANSWERS) :].partition("/?")
            bag = parse_bag(query)
            if bag.get("$rid") == "%d" % self._questions:
                retry_s = int(bag.get("retry-after") or _RETRY_AFTER_S)
                self._answer = (int(status), retry_s, json.loads(body))
        except (ValueError, MemoryError, RuntimeError, ProtocolError):
            # RuntimeError: nested deeper than the interpreter follows. No answer in time ends it
            self.log.warning("dropped a packet of the provisioning service")

    def _judge(self, status, retry_s, document):
        """Take the answer: go on, pause, or raise."""
        if not isinstance(document, dict):
            raise ProtocolError("an answer that is no object")
        if 300 <= status < 429:
            raise RefusedError(_told(status, document))
        if status < 429:
            state = document.get("status")
            if state == "assigned":
                return self._finish(document.get("registrationState"))
            if state == "failed" or state == "disabled":
                raise RefusedError(_told(status, document.get("registrationState"), state))
            if state != "assigning" and state != "unassigned":
                raise ProtocolError("a status that is not known")
            operation = document.get("operationId")
            if not isinstance(operation, str) or not 0 < len(operation) <= _LONGEST_OPERATION:
                raise ProtocolError("no usable operationId")
            self._operation = operation
        self._wait_ms = 1000 * max(1, min(retry_s, _LONGEST_RETRY_S))
        return self._enter("pausing")

    def _finish(self, found):
        """Keep what was assigned, if it can be a hub and a device."""
        try:
            # Concatenated, so that only texts pass
            text = "HostName=" + found["assignedHub"] + ";DeviceId=" + found["deviceId"]
            who = parse(text + ";x509=true")
        except (IdentityError, KeyError, TypeError):
            raise ProtocolError("assigned to what cannot be a hub")
        self.host, self.device_id = who.host, who.device_id
        self._client.disconnect()
        self._drop_link()
        self.log.info("assigned to %s as %s", self.host, self.device_id)
        return self._enter("assigned")

    # ---- the machine

    def _received(self):
        """Send what is begun, take one packet; its kind, or None."""
        self._client.flush()
        return self._client.check_msg()

    def _enter(self, state):
        self.state = state
        self._since = self.clock.ticks_ms()
        return 0

    def _expect(self, limit_ms):
        if self._client.age_ms(self._since) > limit_ms:
            raise LinkError("no answer in time")
        return _SHORT_PAUSE_MS

    def _drop_link(self):
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._client.close()

    def _fail(self, error):
        where, cap_ms = self.state, self.settings.backoff_cap_ms
        self.failures += 1
        self._drop_link()
        # Before anything that takes heap: without its link no other state can go on
        self._enter("waiting")
        tell = self.log.warning
        self._wait_ms = self._random_below(self._backoff_ms)
        self._backoff_ms = min(cap_ms, self._backoff_ms * 2)
        # A certificate that is refused stays so until somebody acts
        if isinstance(error, RefusedError) or str(error).startswith("TLS: "):
            tell = self.log.error
            self._wait_ms = cap_ms - self._random_below(cap_ms // 2)
        seconds = (self._wait_ms + 999) // 1000
        tell("provisioning, %s: %s; next try in %d s", where, error, seconds)


def _told(status, found, state="refused"):
    """What the service says of a refusal, in few words; its text is not ours to repeat."""
    code = found.get("errorCode") if isinstance(found, dict) else None
    return "%s (%d, error %s): check the enrollment" % (
        state,
        status,
        code if type(code) is int else "unknown",
    )
