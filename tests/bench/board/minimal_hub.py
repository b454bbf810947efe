"""The least that speaks to a hub: tokens, telemetry, twin and commands upon `umqtt.simple`.

A peer to measure by, not to use: it waits for ever, resends nothing and believes everything.
"""

import binascii
import hashlib
import json

from umqtt.simple import MQTTClient

_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def quote(text):
    quoted = ""
    for letter in text:
        quoted += letter if letter in _SAFE else "%%%02X" % ord(letter)
    return quoted


def hmac(key, message):
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]) + message).digest()
    return hashlib.sha256(bytes([byte ^ 0x5C for byte in key]) + inner).digest()


def token(host, device, key, expiry):
    resource = quote(host + "/devices/" + device)
    signature = hmac(binascii.a2b_base64(key), ("%s\n%d" % (resource, expiry)).encode())
    signature = quote(binascii.b2a_base64(signature).decode().strip())
    return "SharedAccessSignature sr=%s&sig=%s&se=%d" % (resource, signature, expiry)


class Hub:
    def __init__(self, host, device, key, port, expiry):
        user = host + "/" + device + "/?api-version=2021-04-12"
        self.client = MQTTClient(device, host, port, user, token(host, device, key, expiry), 60)
        self.client.set_callback(self.on_message)
        self.topic = "devices/" + device + "/messages/events/"
        self.requests = 0

    def connect(self):
        self.client.connect()
        for topic in ("$iothub/methods/POST/#", "$iothub/twin/res/#"):
            self.client.subscribe(topic)

    def send(self, values):
        self.client.publish(self.topic, json.dumps(values), qos=1)

    def report(self, values):
        self.requests += 1
        topic = "$iothub/twin/PATCH/properties/reported/?$rid=%d" % self.requests
        self.client.publish(topic, json.dumps(values))

    def on_message(self, topic, body):
        topic = topic.decode()
        if topic.startswith("$iothub/methods/POST/"):
            name, _, request = topic[21:].partition("/?$rid=")
            status, answer = self.on_command(name, json.loads(body))
            answer = json.dumps(answer)
            self.client.publish("$iothub/methods/res/%d/?$rid=%s" % (status, request), answer)

    def on_command(self, name, payload):
        return 404, None
