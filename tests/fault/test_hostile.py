"""What a hostile hub sends: garbage for packets, lengths, topics and JSON, on MicroPython."""

import pytest
from fault import on_board

# The least heap with which the readers and the doubles around them run
HEAP = "400k"
# MicroPython keeps short texts that it met for ever; no more than this of a whole run
MOST_GROWTH = 4096
# Of the inputs, how many percent are at least half of what is right: the others test only how
# soon a reader gives up
LEAST_NEAR = 40


@pytest.fixture
def run(chance, full):
    def start(kind, sample, most=1_000_000):
        count = most if full else sample
        seed = chance.randrange(1 << 30)
        found = on_board.run("hostile.py", kind, count, seed, heap=HEAP, timeout=2600)
        print(*found["first"], sep="\n")  # for whoever finds it red
        assert found["near"] * 100 >= LEAST_NEAR * count
        assert found["replayed"] > 0
        return count, found

    return start


def test_f14_json(row, run):
    count, found = run("json", 2000)
    row(
        "a protocol error or an answer, set points within bounds, heap as before",
        f"{count} bodies, {found['taken']} taken: {found['bad']} bad, {found['growth']} B more",
        found["bad"] == 0 < found["taken"] < count and found["growth"] <= MOST_GROWTH,
    )


def test_f15_lengths(row, run):
    count, found = run("lengths", 100, 10_000)
    row(
        "drained or closed with at most 2 KB of heap",
        f"{count} lengths, {found['taken']} drained: {found['bad']} took more heap",
        found["bad"] == 0 < found["taken"] < count,
    )


def test_f16_topics(row, run):
    count, found = run("topics", 20_000)
    row(
        "never taken for another, nothing unsafe echoed",
        f"{count} topics, {found['taken']} taken: {found['bad']} wrong, {found['growth']} B more",
        found["bad"] == 0 < found["taken"] < count and found["growth"] <= MOST_GROWTH,
    )


def test_f17_framing(row, run):
    count, found = run("framing", 2000)
    row(
        "a packet, a link or a protocol error; the same whole and byte by byte; never a hang",
        f"{count} inputs, {found['taken']} whole: {found['bad']} bad, {found['growth']} B more",
        found["bad"] == 0 < found["taken"] < count and found["growth"] <= MOST_GROWTH,
    )
