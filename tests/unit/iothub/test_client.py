"""The asyncio shell, with time and data that a test hands out."""

import asyncio

from doubles.hub_script import Bench
from expect import raises
from iothub.client import run


async def _turns(count=50):
    for _ in range(count):
        await asyncio.sleep(0)


async def _online(bench):
    task = asyncio.create_task(run(bench.session, bench.clock))
    await bench.clock.run_for(500, 20)
    assert bench.session.state == "online"
    return task


def test_data_is_handled_without_time_passing():
    async def main():
        bench = Bench()
        task = await _online(bench)
        bench.hub.call("x", "7")
        await _turns()
        assert bench.hub.answers == [("$iothub/methods/res/200/?$rid=7", b"")]
        bench.send(b"t")
        await _turns()
        assert bench.outbox.telemetry.acked == 1
        task.cancel()

    asyncio.run(main())


def test_a_lost_link_is_replaced_and_read_again():
    async def main():
        bench = Bench()
        task = await _online(bench)
        for cut in range(5):
            bench.hub.link.end()
            await _turns()
            await bench.clock.run_for(20_000, 500)
            assert bench.session.state == "online"
            bench.hub.call("x", "c%d" % cut)
            await _turns()
            assert len(bench.hub.answers) == cut + 1
        task.cancel()

    asyncio.run(main())


def test_it_ends_when_the_session_is_stopped():
    async def main():
        bench = Bench()
        task = await _online(bench)
        bench.session.stop()
        await bench.clock.run_for(3000)
        assert bench.session.state == "stopped"
        assert task.done()
        await task
        assert bench.hub.parted == 1

    asyncio.run(main())


def test_cancelling_leaves_no_task_behind():
    async def main():
        bench = Bench()
        task = await _online(bench)
        task.cancel()
        with raises(asyncio.CancelledError):
            await task
        await _turns()
        bench.hub.call("x", "7")
        await _turns()
        assert bench.hub.answers == []

    asyncio.run(main())


def test_what_a_handler_raises_comes_out_of_run():
    async def main():
        bench = Bench()
        task = await _online(bench)

        def fail(name, payload):
            raise KeyError("a bug")

        bench.handler.on_command = fail
        bench.hub.call("x", "7")
        await _turns()
        await bench.clock.run_for(2000)
        with raises(KeyError, "a bug"):
            await task
        # The supervisor runs it again: the session goes on where it was
        bench.handler.on_command = lambda name, payload: (200, None)
        task = asyncio.create_task(run(bench.session, bench.clock))
        await _turns()
        bench.hub.call("x", "8")
        await _turns()
        assert bench.hub.answers == [("$iothub/methods/res/200/?$rid=8", b"")]
        task.cancel()

    asyncio.run(main())


def test_nobody_waits_on_for_a_link_that_is_gone():
    waiting = []

    def prepare(link):
        async def for_ever():
            waiting.append(link)
            try:
                while True:
                    await asyncio.sleep(0)
            finally:
                waiting.remove(link)

        link.readable = for_ever

    async def main():
        bench = Bench(prepare)
        task = await _online(bench)
        await _turns()
        assert waiting == bench.dialer.links
        bench.hub.link.end()
        await bench.clock.run_for(20_000, 500)
        assert bench.session.state == "online"
        assert len(bench.dialer.links) == 2
        await _turns()
        assert waiting == bench.dialer.links[1:]
        task.cancel()
        await _turns()
        assert waiting == []

    asyncio.run(main())


def test_whoever_supervises_hears_of_every_turn_even_when_nothing_happens():
    """A watchdog waits behind it: on a quiet link, and with no hub at all."""

    async def main(refuse):
        bench = Bench()
        bench.dialer.refuse = refuse
        heard = []
        task = asyncio.create_task(
            run(bench.session, bench.clock, lambda: heard.append(bench.clock.ticks_ms()))
        )
        await bench.clock.run_for(60_000, 50)
        task.cancel()
        assert len(heard) >= 60
        for at in range(1, len(heard)):
            assert heard[at] - heard[at - 1] <= 2000

    for refuse in ("", "ECONNREFUSED"):
        asyncio.run(main(refuse))


def test_a_reader_for_which_there_is_no_heap_is_made_anew():
    """Nothing is printed of it, as MicroPython does of a task that raises and is not awaited."""
    tries, told = [], []

    def prepare(link):
        readable = link.readable

        def scarce():
            tries.append(link)
            if len(tries) < 4:
                raise MemoryError
            return readable()

        link.readable = scarce

    async def main():
        loop = asyncio.get_event_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        bench = Bench(prepare)
        task = await _online(bench)
        await bench.clock.run_for(5000, 500)
        loop.set_exception_handler(None)
        assert len(tries) >= 4
        assert told == []
        assert bench.dialer.links == tries[:1]  # the link itself is as good as before
        bench.hub.call("x", "8")
        await _turns()
        assert [topic for topic, _ in bench.hub.answers] == ["$iothub/methods/res/200/?$rid=8"]
        task.cancel()

    asyncio.run(main())


def test_a_link_that_is_over_when_it_is_waited_for_is_the_sessions_affair():
    """Its time for TLS may have run out just then."""

    def prepare(link):
        def over():
            link.end()
            raise OSError("no TLS handshake in time")

        if len(bench.dialer.links) == 1:
            link.readable = over

    bench = Bench(prepare)

    async def main():
        task = asyncio.create_task(run(bench.session, bench.clock))
        await bench.clock.run_for(5000)
        assert not task.done()
        assert bench.session.state == "online"
        assert bench.session.failures == 1
        task.cancel()

    asyncio.run(main())
