"""The face of umqtt.simple 1.6 to 1.8, which ESP32 firmware has frozen and no registry has.

Written from its documented differences to 1.3.4: `ssl` takes a context, `connect` a time-out
and closes the old socket, `unsubscribe` exists, `wait_msg` returns the packet type, one encoder
of lengths is shared.
"""

import sys


class MQTTException(Exception):
    pass


class MQTTClient:
    def __init__(
        self,
        client_id,
        server,
        port=0,
        user=None,
        password=None,
        keepalive=0,
        ssl=None,
        ssl_params={},  # noqa: B006 - as it is
    ):
        self.client_id = client_id
        self.sock = None
        self.server = server
        self.port = port or (8883 if ssl else 1883)
        self.ssl = ssl
        self.ssl_params = ssl_params
        self.pid = 0
        self.cb = None
        self.user = user
        self.pswd = password
        self.keepalive = keepalive
        self.lw_topic = self.lw_msg = None
        self.lw_qos = 0
        self.lw_retain = False

    def _send_str(self, text):
        self.sock.write(len(text).to_bytes(2, "big"))
        self.sock.write(text)

    def _encode_length(self, packet, at, length):
        while length > 127:
            packet[at] = length & 127 | 128
            length >>= 7
            at += 1
        packet[at] = length
        return at + 1

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        self.lw_topic = topic
        self.lw_msg = msg
        self.lw_qos = qos
        self.lw_retain = retain

    def connect(self, clean_session=True, timeout=None):
        raise AssertionError("the inherited connect() was called")

    def disconnect(self):
        self.sock.write(b"\xe0\0")
        self.sock.close()

    def ping(self):
        self.sock.write(b"\xc0\0")

    def publish(self, topic, msg, retain=False, qos=0):
        assert qos == 0, "the inherited publish() waits for its PUBACK"
        packet = bytearray(5)
        packet[0] = 0x30 | retain
        size = self._encode_length(packet, 1, 2 + len(topic) + len(msg))
        self.sock.write(packet, size)
        self._send_str(topic)
        self.sock.write(msg)

    def subscribe(self, topic, qos=0):
        raise AssertionError("the inherited subscribe() was called")

    def unsubscribe(self, topic):
        raise AssertionError("the inherited unsubscribe() was called")

    def wait_msg(self):
        raise AssertionError("the inherited wait_msg() was called")

    def check_msg(self):
        raise AssertionError("the inherited check_msg() was called")


def both(name):
    """The firmware module `name`, over the installed umqtt.simple and over this one."""
    return [_load(name, None), _load(name, sys.modules[__name__])]


def _load(name, simple):
    import umqtt.simple

    used = sys.modules["umqtt.simple"] if simple is None else simple
    kept = {}
    for each in ("iothub.mqtt", "iothub.exchange", "iothub.session", "umqtt.simple"):
        if each in sys.modules:
            kept[each] = sys.modules.pop(each)
    sys.modules["umqtt.simple"] = used
    parent = sys.modules["iothub"] if "iothub" in sys.modules else __import__("iothub")
    for each in ("mqtt", "exchange", "session"):
        if hasattr(parent, each):
            delattr(parent, each)
    __import__(name)
    module = sys.modules[name]
    for each in ("iothub.mqtt", "iothub.exchange", "iothub.session"):
        if each in sys.modules:
            sys.modules.pop(each)
    sys.modules["umqtt.simple"] = umqtt.simple
    for each, old in kept.items():
        sys.modules[each] = old
        if each.startswith("iothub."):
            setattr(parent, each[7:], old)
    return module
