"""What a hub, or who speaks through it, sends again, too often, or out of order."""

from doubles.appliance import Bench as Appliance
from doubles.hub_script import Bench


def test_f12_commands_repeated(row, chance, full):
    """Each of the last sixteen may come again, in any order; each has one effect."""
    wanted = 10_000 if full else 1500
    bench = Bench().until("online")
    known, new, repeated, unanswered = [], 0, 0, 0
    for _ in range(wanted):
        if known and chance.below(3):
            name, rid = chance.choice(known)
            repeated += 1
        else:
            name, rid = chance.choice(("reboot", "zone*report")), f"{new:x}"
            new += 1
            known = [*known, (name, rid)][-16:]
        bench.hub.answers.clear()
        bench.hub.call(name, rid, b"1")
        bench.run(5)
        unanswered += [topic.split("$rid=")[1] for topic, _ in bench.hub.answers] != [rid]
    effects = len(bench.handler.commands)
    row(
        "0 second effects, every call answered once, under its own id",
        f"{new} calls, {repeated} repetitions: {effects - new} second effects, "
        f"{unanswered} not answered",
        effects == new and unanswered == 0 and bench.exchange.unanswered == 0,
    )


def test_f12_patches_repeated_and_late(row, chance, full):
    """Desired patches in any order, any number of times: the newest version counts."""
    rounds = 2000 if full else 200
    wrong = 0
    for _ in range(rounds):
        bench = Appliance()
        bench.hub.connect()
        device = bench.device
        first = device.desired_version + 1
        patches = [
            {"thermostat1": {"__t": "c", "targetTemperature": 10 + at}, "$version": first + at}
            for at in range(6)
        ]
        sent = [chance.choice(patches) for _ in range(12)]
        newest = 0
        for patch in sent:
            before = bench.zones["thermostat1"].target
            device.on_desired(patch)
            is_new = patch["$version"] > newest
            newest = max(newest, patch["$version"])
            expected = patch["thermostat1"]["targetTemperature"] if is_new else before
            wrong += bench.zones["thermostat1"].target != expected
        bench.hub.drain()
        entry = bench.hub.reported["thermostat1"]["targetTemperature"]
        wrong += entry["av"] != newest or entry["value"] != bench.zones["thermostat1"].target
    row(
        "only newer versions are applied, the newest is acknowledged",
        f"{rounds * 12} patches: {wrong} wrong",
        wrong == 0,
    )


def test_f29_flood(row, chance, full):
    """A hundred commands in each second; between them telemetry goes on."""
    seconds = 600 if full else 60
    bench = Bench().lasting().until("online")
    queue, longest = bench.outbox.answers, 0
    put = queue.put

    def watched(*packet):
        nonlocal longest
        taken = put(*packet)
        longest = max(longest, queue.end)
        return taken

    queue.put = watched
    calls = answered = 0
    for second in range(seconds):
        bench.send(b"%d" % second)
        for _ in range(100):
            bench.hub.call("x", f"{calls}", b"1")
            calls += 1
        for _ in range(100):
            bench.run(10)
        answered += len(bench.hub.answers)
        bench.hub.forget()
        bench.handler.commands.clear()
    bench.run(5000)
    answered += len(bench.hub.answers)
    lost = seconds - len(bench.hub.numbers)
    row(
        "each call answered or counted, no telemetry lost, the queue as large as it was made",
        f"{calls} calls: {answered} answered, {bench.exchange.unanswered} counted, "
        f"{lost} telemetry lost, queue {longest} bytes at most",
        answered + bench.exchange.unanswered == calls
        and lost == 0
        and 0 < longest <= bench.settings.answer_bytes,
    )
