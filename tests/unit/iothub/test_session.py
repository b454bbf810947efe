"""The life of a connection, on virtual time, against a scripted hub."""

from doubles.hub_script import DEVICE, HOST, Bench
from doubles.umqtt18 import both
from iothub.session import ONLINE


def test_connects_subscribes_reads_the_twin_and_is_online():
    for session in both("iothub.session"):
        bench = Bench(session=session).until(ONLINE)
        texts, keep_alive, flags = bench.hub.connects[0]
        assert texts[0] == DEVICE
        assert texts[1].startswith("%s/%s/?api-version=2021-04-12" % (HOST, DEVICE))
        assert texts[2].startswith("SharedAccessSignature sr=%s%%2Fdevices%%2F" % HOST)
        assert (keep_alive, flags) == (60, 0xC0)
        assert bench.hub.filters == [
            "devices/stove-1/messages/devicebound/#",
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
        ]
        assert bench.handler.twins == [{"desired": {"$version": 1}, "reported": {"$version": 1}}]
        assert bench.handler.online == 1
        # CONNECT alone; SUBSCRIBE and the twin's read in one flight
        assert len(bench.dialer.links[0].writes) == 2
