"""A cable pulled, or the power lost, at every step of a deploy: afterwards the board runs the old
or the new software, never a mixture, and the same deploy again succeeds.

With THERMO_ALL_PULLS=1 every place of a deploy is struck (some minutes)."""

import pytest
from pulls import IS_WHOLE, Bench, places
from small_tree import running

pytestmark = pytest.mark.timeout(1800 if IS_WHOLE else 120)
PARTS = 4
# Of the places: every one for a cable, and fewer for the power, which hits the same flash
EACH = {"cut": 1, "power_off": 1 if IS_WHOLE else 2}


def strike_all(bench, counts, fault):
    """Returns what ran after each."""
    return [bench.strike(at, fault) for at in counts]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fault", ["cut", "power_off"])
def test_an_update_is_pulled_at_every_step(tmp_path, fault, part):
    with Bench(tmp_path) as bench:
        steps, _, every_512 = places(bench)
        counts = sorted({*steps, *every_512})[part :: PARTS * EACH[fault]]
        ran = strike_all(bench, counts, fault)
    assert len(ran) >= 15
    assert running(1) in ran
    print(f"{len(ran)} pulls ({fault}), {ran.count(running(2))} of them left the new software")


def test_an_update_is_pulled_in_the_middle_of_a_write(tmp_path):
    with Bench(tmp_path) as bench:
        _, middles, _ = places(bench)
        assert len(strike_all(bench, middles[:: 1 if IS_WHOLE else 5], "power_off")) >= 20


def test_after_the_switch_it_is_the_new_software(tmp_path):
    """The last of all bytes is the reset; before it the marker is the new slot's."""
    with Bench(tmp_path) as bench:
        steps, _, _ = places(bench)
        assert bench.strike(steps[-1], "power_off") == running(2)


@pytest.mark.parametrize("fault", ["cut", "power_off"])
def test_the_first_deploy_is_pulled(tmp_path, fault):
    with Bench(tmp_path, is_bare=True) as bench:
        steps, _, every_512 = places(bench)
        ran = strike_all(bench, sorted({*steps[:: 1 if IS_WHOLE else 8], *every_512}), fault)
    assert len(ran) >= 20
    assert "nothing" in ran
