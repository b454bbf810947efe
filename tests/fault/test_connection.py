"""The link with the hub: cut, silent, refused, and at the end of a token. Time is virtual."""

import statistics

from doubles.clock import FakeClock
from doubles.hub_script import Bench
from doubles.settings import Settings

KEEP_ALIVE_S = 60


def cut_session(cut_after, chunk):
    """Connect, twin, report, telemetry, command; the first link dies after so many bytes."""

    def prepare(link):
        link.chunk = chunk
        if len(bench.dialer.links) == 1:
            link.cut_after = cut_after

    bench = Bench(prepare)
    bench.handler.reports = [{"a": 1}]
    bench.run(40)
    for number in range(3):
        bench.send(b"message %d" % number)
        bench.run(30)
    if bench.hub.link is not None:
        bench.hub.call("x", "7", b"1")
    bench.run(30_000)
    return bench


def faults_of(bench):
    """(lost, again, again but not marked or under another id) of a session's telemetry."""
    first, again, unmarked = {}, 0, 0
    for arrived in bench.hub.telemetry:
        if arrived.body in first:
            again += 1
            unmarked += not arrived.dup or arrived.packet_id != first[arrived.body]
        first[arrived.body] = arrived.packet_id
    return bench.outbox.accepted - len(first), again, unmarked


def test_f01_cut_at_every_byte(row, full):
    length = cut_session(-1, 0).dialer.links[0].traffic
    lost = most = unmarked = cuts = 0
    chunks = (0, 1, 7, 64) if full else (0, 7)
    for at in range(length + 1):
        for chunk in chunks if full else chunks[at % 2 : at % 2 + 1]:
            bench = cut_session(at, chunk)
            one_lost, again, one_unmarked = faults_of(bench)
            lost += one_lost + (bench.session.state != "online")
            unmarked += one_unmarked
            most = max(most, again)
            cuts += 1
    row(
        f"cut at each of {length} bytes: 0 lost, at most {Settings.window} again, all marked",
        f"{cuts} cuts: {lost} lost, at most {most} again, {unmarked} not marked",
        lost == unmarked == 0 and most <= Settings.window and cuts > length,
    )


def killer(chance):
    """Prepares links: the first few die after so many bytes, which come in pieces."""
    doomed = [chance.randrange(4000) for _ in range(chance.below(5) + 1)]

    def prepare(link):
        if doomed:
            link.cut_after = doomed.pop()
            link.chunk = chance.choice((0, 1, 5, 50))

    return prepare


def test_f01_killed_at_random(row, chance, full):
    kills = 1000 if full else 60
    worst = [0, 0, 0]
    for _ in range(kills):
        bench = Bench(killer(chance), random_below=chance.below)
        for number in range(30):
            bench.send(b"%d" % number)
            bench.run(chance.below(2000))
        bench.run(60_000)
        lost, again, unmarked = faults_of(bench)
        again -= Settings.window * (len(bench.dialer.links) - 1)
        worst = [max(worst[0], lost), max(worst[1], again), max(worst[2], unmarked)]
    row(
        "0 lost, at most a window of duplicates for each cut, all marked",
        f"{kills} sessions: {worst[0]} lost, {worst[1]} beyond the window, {worst[2]} not marked",
        worst == [0, 0, 0],
    )


def test_f02_silent_peer(row, chance, full):
    runs = 200 if full else 40
    latest_ms = 0
    for number in range(runs):
        bench = Bench().until("online")
        bench.run(chance.below(200_000))
        bench.dialer.links[0].is_deaf = True
        waited_ms = 0
        while not bench.session.failures:
            assert waited_ms < 300_000, "never noticed"
            if number % 2:
                bench.send(b"x")
            bench.run(500)
            waited_ms += 500
        latest_ms = max(latest_ms, waited_ms)
    row(
        f"noticed within {1500 * KEEP_ALIVE_S} ms",
        f"{runs} runs: after {latest_ms} ms at most",
        latest_ms <= 1500 * KEEP_ALIVE_S,
    )


def test_f05_renewals(row, full):
    settings = Settings()
    settings.token_life_s = 700
    dialed, away_ms = [], []
    bench = Bench(settings=settings, prepare=lambda link: dialed.append(bench.clock.ticks_ms()))
    bench.handler.on_online = lambda: away_ms.append(bench.exchange.age_ms(dialed[-1]))
    bench.lasting().until("online")
    wanted = 1000 if full else 100
    sent, least_left_s = 0, 700
    while bench.session.connects <= wanted:
        bench.send(b"%d" % sent)
        sent += 1
        bench.run(100_000)
        expiry = int(bench.hub.connects[-1][0][2].split("se=")[1])
        least_left_s = min(least_left_s, expiry - bench.clock.unix_time())
        bench.hub.forget()
        bench.handler.twins.clear()
        bench.log.records.clear()
    lost = sent - len(bench.hub.numbers)
    row(
        "0 lost, at least 120 s before the end, from dial to online at most 5 s",
        f"{wanted} renewals: {lost} lost, {least_left_s} s before, {max(away_ms)} ms at most",
        lost == 0 and least_left_s >= 120 and max(away_ms) <= 5000 and not bench.session.failures,
    )


def test_f28_backoff_is_uniform(row, chance, full):
    """Full jitter: between nothing and the cap, each tenth as often as any other."""
    wanted = 10_000 if full else 1000
    bench = Bench(random_below=chance.below)
    bench.dialer.is_forgetful = True
    bench.dialer.refuse = "away"
    cap_ms = bench.settings.backoff_cap_ms
    waits = []
    while len(waits) < wanted:
        failures = bench.session.failures
        bench.clock.advance(max(1, bench.session.step()))
        if bench.session.failures > failures and failures >= 12:
            waits.append(bench.session._wait_ms)
        bench.log.records.clear()
    tenths = [0] * 10
    for wait in waits:
        tenths[wait * 10 // cap_ms] += 1
    expected = wanted / 10
    chi_square = sum((each - expected) ** 2 / expected for each in tenths)
    # Nine degrees of freedom: exceeded by chance once in a hundred times
    row(
        f"0 to {cap_ms} ms, chi-square of tenths below 21.67 (p > 0.01)",
        f"{wanted} waits from {min(waits)} to {max(waits)} ms, chi-square {chi_square:.1f}",
        min(waits) >= 0 and max(waits) < cap_ms and chi_square < 21.67,
    )


def test_f28_a_herd_spreads(row, chance, full):
    """A hub that was away for ten minutes for all of them: how many dial in any one second."""
    devices = 1000 if full else 200
    dials = {}
    for _ in range(devices):
        bench = Bench(random_below=chance.below)
        bench.dialer.refuse = "away"
        failed, elapsed = 0, 0
        while elapsed < 600_000:
            delay = max(1, bench.session.step())
            bench.clock.advance(delay)
            elapsed += delay
            if bench.session.failures > failed:
                failed = bench.session.failures
                dials[elapsed // 1000] = dials.get(elapsed // 1000, 0) + 1
    peak = max(count for second, count in dials.items() if second >= 60)
    mean = statistics.mean(dials.get(second, 0) for second in range(60, 600))
    row(
        "after the first minute at most 5 % of them in any second",
        f"{devices} devices: {100 * peak / devices:.1f} % at most, "
        f"{100 * mean / devices:.2f} % on average",
        peak <= 0.05 * devices,
    )


def test_f09_wall_clock_jumps(row, chance, full):
    jumps = 10_000 if full else 500
    too_long, stuck = 0, 0
    for epoch in (1970, 2000):
        bench = Bench(clock=FakeClock(epoch=epoch, unix_s=1795239300)).lasting().until("online")
        for _ in range(jumps // 2):
            target = bench.clock.unix_time() + chance.choice((-1, 1)) * chance.choice(
                (chance.below(60), chance.below(90_000), chance.below(50_000_000))
            )
            # Within what the clock takes for a date
            if not 1735689600 < target < 2050000000:
                continue
            bench.clock.jump(target - bench.clock.unix_time())
            bench.run(12_000)
            away_ms = 0
            while bench.session.state != "online" and away_ms < 20_000:
                bench.run(100)
                away_ms += 100
            stuck += bench.session.state != "online"
            expiry = int(bench.hub.connects[-1][0][2].split("se=")[1])
            too_long += expiry - bench.clock.unix_time() > 24 * 3600 + 60
            bench.hub.forget()
            bench.handler.twins.clear()
            bench.log.records.clear()
    row(
        "0 tokens that live for more than a day, 0 times stuck, either epoch",
        f"{jumps} jumps: {too_long} tokens too long, {stuck} stuck",
        too_long == stuck == 0,
    )
