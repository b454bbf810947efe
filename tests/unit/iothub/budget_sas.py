"""What one SAS token costs on the heap. MicroPython only."""

import gc

from doubles.keys import KEY
from iothub.identity import parse
from iothub.sas import build_token

# Once for each connection, before the TLS handshake takes many times that
GARBAGE_LIMIT_BYTES = 1500


def test_garbage_of_a_token_stays_in_its_budget():
    identity = parse(
        "HostName=my-hub.azure-devices.net;DeviceId=thermostat-000017;SharedAccessKey=" + KEY
    )
    build_token(identity, 1795239300)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    build_token(identity, 1795239300)
    used = gc.mem_alloc() - before
    gc.enable()
    print("garbage of a token: %d B" % used)
    assert used <= GARBAGE_LIMIT_BYTES, "%d B" % used
