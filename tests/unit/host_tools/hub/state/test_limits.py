"""Quota and throttles of a tier, on a clock that the test turns."""

import pytest
from doubles.hub_in_memory import Clock, make_hub

from host_tools.hub.options import parse_options
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.limits import (
    C2D,
    METHOD,
    QUERY,
    REGISTRY,
    TELEMETRY,
    TIERS,
    TWIN_READ,
    TWIN_UPDATE,
    Limits,
)

NOON = 1_700_006_400.0 // 86400 * 86400 + 43200


def limits_of(tier):
    clock = Clock(NOON)
    limits = Limits(clock)
    limits.choose(tier)
    return limits, clock


def spend_until_refused(limits, kind, size_bytes=0, most=500):
    """Returns: how many passed, and the code of the refusal."""
    for count in range(most):
        try:
            limits.spend(kind, size_bytes)
        except HubError as error:
            return count, error.code
    return most, None


def test_without_a_tier_nothing_is_limited():
    limits, _ = limits_of(None)
    for kind in (TELEMETRY, TWIN_READ, TWIN_UPDATE, METHOD, C2D, QUERY, REGISTRY):
        assert spend_until_refused(limits, kind, 1 << 20) == (500, None)
    assert limits.delay_s(10**6) == 0
    assert limits.used_today == 0


@pytest.mark.parametrize(
    ("kind", "at_once", "period_s"),
    [
        (TWIN_READ, 100, 1),
        (TWIN_UPDATE, 50, 1),
        (METHOD, 40, 1),
        (C2D, 100, 60),
        (QUERY, 20, 60),
        (REGISTRY, 100, 60),
    ],
)
def test_each_kind_has_its_rate(kind, at_once, period_s):
    limits, clock = limits_of("S1")
    assert spend_until_refused(limits, kind) == (at_once, 429001)
    clock.now_s += period_s / 2
    assert spend_until_refused(limits, kind) == (at_once // 2, 429001)
    clock.now_s += 10 * period_s
    assert spend_until_refused(limits, kind) == (at_once, 429001)


def test_one_kind_does_not_use_up_another():
    limits, _ = limits_of("S1")
    spend_until_refused(limits, QUERY)
    limits.spend(TWIN_READ)


def test_methods_count_by_four_kilobytes():
    limits, _ = limits_of("S1")
    assert spend_until_refused(limits, METHOD, 4097) == (20, 429001)


@pytest.mark.parametrize(
    ("tier", "size_bytes", "messages"),
    [("F1", 0, 1), ("F1", 512, 1), ("F1", 513, 2), ("S1", 4096, 1), ("S1", 4097, 2)],
)
def test_messages_are_metered_in_the_units_of_the_tier(tier, size_bytes, messages):
    limits, _ = limits_of(tier)
    limits.spend(TELEMETRY, size_bytes)
    assert limits.used_today == messages


def test_the_quota_of_a_day_ends_at_midnight_of_utc():
    limits, clock = limits_of("F1")
    assert spend_until_refused(limits, TELEMETRY, 100, 9000) == (8000, 403002)
    with pytest.raises(HubError, match="8,000") as refused:
        limits.spend(C2D)
    assert (refused.value.http_status, refused.value.name) == (403, "IoTHubQuotaExceeded")
    limits.spend(REGISTRY)  # which is no message
    clock.now_s += 43199
    with pytest.raises(HubError):
        limits.spend(TELEMETRY)
    clock.now_s += 2
    limits.spend(TELEMETRY)
    assert limits.used_today == 1


def test_what_is_refused_uses_nothing_up():
    limits, _ = limits_of("F1")
    spend_until_refused(limits, QUERY)
    assert limits.used_today == 20
    with pytest.raises(HubError):
        limits.spend(TELEMETRY, 512 * 8000)
    limits.spend(TELEMETRY, 512 * 7980)
    assert limits.used_today == 8000


def test_telemetry_is_delayed_to_its_rate():
    limits, clock = limits_of("S1")
    assert limits.delay_s(100) == 0
    assert limits.delay_s(50) == pytest.approx(0.5)
    assert limits.delay_s(50) == pytest.approx(1.0)
    clock.now_s += 1.5
    assert limits.delay_s(50) == 0


def test_a_clock_that_is_set_back_gives_nothing():
    limits, clock = limits_of("S1")
    spend_until_refused(limits, QUERY)
    clock.now_s -= 3600
    assert spend_until_refused(limits, QUERY) == (0, 429001)
    clock.now_s += 60
    assert spend_until_refused(limits, QUERY) == (20, 429001)


def test_the_option():
    hub = make_hub()
    parse_options(tier="f1").apply(hub)
    hub.limits.spend(TELEMETRY)
    assert hub.limits.used_today == 1
    assert set(TIERS) == {"F1", "S1"}
