import asyncio
import json

from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.errors import HubError


def _refusal(hub, *arguments, **options):
    with raises(HubError) as refused:
        asyncio.run(hub.methods.invoke(*arguments, **options))
    return refused.error


def test_the_devices_status_is_the_answer_whatever_it_is():
    hub = make_hub("d1")

    async def scene():
        methods = {
            "ok": lambda payload: (200, payload),
            "bad": lambda payload: (500, "why"),
            "nothing": lambda payload: (-7, None),
        }
        hub.connections.attach("d1", FakeConnection(hub, "d1", methods))
        assert await hub.methods.invoke("d1", "ok", [1, {"a": None}]) == (200, [1, {"a": None}])
        assert await hub.methods.invoke("d1", "bad") == (500, "why")
        assert await hub.methods.invoke("d1", "nothing") == (-7, None)

    asyncio.run(scene())
    assert not hub.methods._pending


def test_offline_or_unsubscribed_is_told_at_once():
    hub = make_hub("d1")
    error = _refusal(hub, "d1", "m")
    assert (error.code, error.http_status, error.info) == (404103, 404, {"timeout": "00:00:00"})
    hub.connections.attach("d1", FakeConnection(hub))
    assert _refusal(hub, "d1", "m").code == 404103
    assert _refusal(hub, "unknown", "m").code == 404001


def test_the_connect_timeout_waits_for_connection_and_subscription():
    hub = make_hub("d1")

    async def scene():
        call = asyncio.ensure_future(hub.methods.invoke("d1", "m", 1, 5, 5))
        await asyncio.sleep(0.01)
        connection = FakeConnection(hub)
        hub.connections.attach("d1", connection)
        await asyncio.sleep(0.01)
        assert not call.done()
        connection.methods = {"m": lambda payload: (200, payload + 1)}
        hub.connections.subscribe("d1", "$iothub/methods/POST/#", 0)
        assert await call == (200, 2)

    asyncio.run(scene())


def test_no_answer_is_a_gateway_timeout_and_a_late_one_is_dropped():
    import host_tools.hub.state.methods as module

    hub = make_hub("d1")

    async def scene():
        connection = FakeConnection(hub, "d1", {"m": None})
        hub.connections.attach("d1", connection)
        with raises(HubError, "Timed out waiting for the response from device.") as refused:
            await hub.methods.invoke("d1", "m", None, 0)
        assert (refused.error.code, refused.error.http_status) == (504101, 504)
        assert not hub.methods.answer("d1", connection.requests[0][1], 200, b"")

    least, module.MIN_RESPONSE_TIMEOUT_S = module.MIN_RESPONSE_TIMEOUT_S, 0
    try:
        asyncio.run(scene())
    finally:
        module.MIN_RESPONSE_TIMEOUT_S = least


def test_answers_belong_to_their_device_and_count_once():
    hub = make_hub("d1", "d2")

    async def scene():
        connection = FakeConnection(hub, "d1", {"m": None})
        hub.connections.attach("d1", connection)
        call = asyncio.ensure_future(hub.methods.invoke("d1", "m", None))
        await asyncio.sleep(0)
        (_, rid, body), *_ = connection.requests
        assert json.loads(body) is None
        assert not hub.methods.answer("d2", rid, 200, b"")
        assert not hub.methods.answer("d1", "other", 200, b"")
        assert hub.methods.answer("d1", rid, 200, b'"first"')
        assert not hub.methods.answer("d1", rid, 200, b'"second"')
        assert await call == (200, "first")

    asyncio.run(scene())


def test_an_answer_that_is_not_json_or_too_long_ends_the_call():
    hub = make_hub("d1")

    async def scene():
        connection = FakeConnection(hub, "d1", {"m": None})
        hub.connections.attach("d1", connection)
        for body in (b"{", b"\xff", b'"' + b"x" * (128 * 1024) + b'"'):
            call = asyncio.ensure_future(hub.methods.invoke("d1", "m"))
            await asyncio.sleep(0)
            assert hub.methods.answer("d1", connection.requests[-1][1], 200, body)
            with raises(HubError) as refused:
                await call
            assert refused.error.code == 504101

    asyncio.run(scene())


def test_bad_arguments_are_400():
    hub = make_hub("d1")
    for arguments in (
        ("d1", "m", None, 4),
        ("d1", "m", None, 301),
        ("d1", "m", None, 5, -1),
        ("d1", "m", None, 5, 301),
        ("d1", ""),
        ("d1", "m" * 257),
        ("d1", "m", "x" * (128 * 1024)),
    ):
        assert _refusal(hub, *arguments).code == 400004
