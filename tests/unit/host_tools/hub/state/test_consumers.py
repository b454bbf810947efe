"""Who may read a partition beside whom."""

import pytest

from host_tools.hub.state.consumers import MAX_READERS, Consumers, Stolen
from host_tools.hub.state.errors import HubError


class Reader:
    def __init__(self, consumers, epoch=None, group="$Default", partition=0):
        self.ended = None
        self.leave = consumers.join(group, partition, epoch, self.end)

    def end(self, reason):
        self.ended = reason
        self.leave()


@pytest.fixture
def consumers():
    return Consumers()


def test_some_read_side_by_side_and_one_more_when_one_has_left(consumers):
    readers = [Reader(consumers) for _ in range(MAX_READERS)]
    with pytest.raises(HubError) as refused:
        Reader(consumers)
    assert refused.value.http_status == 403
    assert all(reader.ended is None for reader in readers)
    readers[0].leave()
    readers[0].leave()
    Reader(consumers)


def test_an_epoch_ends_those_without_one_and_keeps_them_out(consumers):
    plain = Reader(consumers), Reader(consumers)
    owner = Reader(consumers, 0)
    assert all(isinstance(reader.ended, Stolen) for reader in plain)
    with pytest.raises(Stolen, match="epoch 0"):
        Reader(consumers)
    owner.leave()
    Reader(consumers)


@pytest.mark.parametrize("epoch", [5, 6])
def test_the_same_or_a_higher_epoch_takes_over(consumers, epoch):
    owner = Reader(consumers, 5)
    Reader(consumers, epoch)
    assert f"epoch {epoch}" in str(owner.ended)


def test_a_lower_epoch_is_refused(consumers):
    owner = Reader(consumers, 5)
    with pytest.raises(Stolen, match="epoch 5"):
        Reader(consumers, 4)
    assert owner.ended is None


def test_groups_and_partitions_do_not_meet_but_the_case_of_a_group_is_nothing(consumers):
    owner = Reader(consumers, 1)
    Reader(consumers, 1, group="other")
    Reader(consumers, 1, partition=1)
    assert owner.ended is None
    Reader(consumers, 1, group="$DEFAULT")
    assert owner.ended is not None
