"""What `thermo twin set` takes for a yes, and what `thermo query` shows of its rows."""

import pytest

from host_tools.cloud.twin_commands import columns, is_accepted


@pytest.mark.parametrize("code", [200, 202, 203])
def test_a_device_says_yes(code):
    assert is_accepted({"value": 21, "ac": code, "av": 4})


@pytest.mark.parametrize(
    "answer", [None, {}, {"ac": 400}, {"ac": 500}, {"ac": 0}, {"ac": "200"}, {"ac": None}, 21]
)
def test_anything_else_is_no_yes(answer):
    assert not is_accepted(answer)


def test_whole_twins_are_shown_by_their_gist():
    twin = {"deviceId": "t1", "etag": "A", "tags": {}, "desired": {}, "reported": {}}
    assert columns([twin]) == ["deviceId", "connectionState", "modelId", "tags"]


def test_columns_that_were_asked_for_are_shown():
    rows = [{"deviceId": "t1", "target": 21}, {"deviceId": "t2", "lowest": 5}]
    assert columns(rows) == ["deviceId", "target", "lowest"]
    assert columns([]) == []
