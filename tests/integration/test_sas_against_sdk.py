"""Our tokens and Microsoft's, byte for byte, on the same input."""

import base64
import random
import sys
from pathlib import Path

from azure.iot.device.common.auth import sastoken
from azure.iot.device.common.auth import signing_mechanism as signing

ROOT = Path(__file__).resolve().parent.parent.parent
for folder in ("tests/shims", "firmware"):
    sys.path.append(str(ROOT / folder))

from iothub.identity import parse  # noqa: E402
from iothub.sas import build_token  # noqa: E402

EXPIRY = 1795239300


def ours(host, device_id, key):
    identity = parse(f"HostName={host};DeviceId={device_id};SharedAccessKey={key}")
    return build_token(identity, EXPIRY).decode()


def theirs(monkeypatch, host, device_id, key):
    monkeypatch.setattr(sastoken.time, "time", lambda: EXPIRY - 3600)
    mechanism = signing.SymmetricKeySigningMechanism(key=key)
    return str(sastoken.RenewableSasToken(f"{host}/devices/{device_id}", mechanism, ttl=3600))


def test_tokens_are_equal(monkeypatch):
    source = random.Random(2)
    for _ in range(500):
        key = base64.b64encode(source.randbytes(source.choice((16, 32, 64)))).decode()
        name = "".join(source.choices("azAZ09-.:%_*?!(),=@$'", k=source.randint(1, 128)))
        host = source.choice(("hub.azure-devices.net", "localhost", "My-Hub.example"))
        assert ours(host, name, key) == theirs(monkeypatch, host, name, key)
