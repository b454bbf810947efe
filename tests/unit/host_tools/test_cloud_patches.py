"""What people type for a twin, as patches; what differs between two twins."""

import pytest

from host_tools.cloud.patches import build_patch, changes, mark_components, parse_value
from host_tools.service import ServiceError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21.5", 21.5),
        ("true", True),
        ("null", None),
        ('"21"', "21"),
        ('{"a": [1]}', {"a": [1]}),
        ("kitchen", "kitchen"),
        ("2026-11-27T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("", ""),
        ("{broken", "{broken"),
        pytest.param("[" * 60_000, "[" * 60_000, id="deep"),
    ],
)
def test_values(text, value):
    assert parse_value(text) == value


def test_paths_become_one_patch():
    words = ["a.b=1", "a.c=x=y", "d=null"]
    assert build_patch(words) == {"a": {"b": 1, "c": "x=y"}, "d": None}


@pytest.mark.parametrize(
    "words",
    [["a"], ["=1"], ["a..b=1"], [".=1"], ["a=1", "a.b=2"], ["a.b=2", "a=1"], ["a=1", "a=1"]],
)
def test_words_that_are_none(words):
    with pytest.raises(ServiceError):
        build_patch(words)
    with pytest.raises(ServiceError):
        build_patch([".".join("x" * 11) + "=1"])


def test_components_are_marked_as_the_device_reports_them():
    reported = {"t1": {"__t": "c", "x": 1}, "plain": {"x": 1}}
    patch = {"t1": {"target": 21}, "plain": {"x": 2}, "new": {"y": 1}, "t1x": None}
    assert mark_components(patch, reported) == {
        "t1": {"__t": "c", "target": 21},
        "plain": {"x": 2},
        "new": {"y": 1},
        "t1x": None,
    }


def test_changes_are_of_leaves():
    before = {"a": {"b": 1, "c": 2}, "$version": 1, "gone": 1}
    after = {"a": {"b": 1, "c": 3}, "$version": 2, "new": {"x": 1}}
    assert changes(before, after) == [("a.c", 2, 3), ("gone", 1, None), ("new.x", None, 1)]
    assert changes({"a": {}}, {"a": None}) == [("a", {}, None)]
    assert changes(1, {"a": 1}) == [("", 1, {"a": 1})]
    assert changes({}, {"a": {"b": 1}}) == [("a.b", None, 1)]
