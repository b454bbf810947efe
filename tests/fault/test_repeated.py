"""Rows whose cases are tests of their own already; here they count for the table."""

from pulls import Bench, places
from small_tree import running
from unit.iothub import test_dps


def test_f27_provisioning(row):
    test_dps.test_every_script_ends_with_the_device_assigned_and_none_hangs()
    row(
        "assigned in the end, every link closed, whatever the service does meanwhile",
        f"{len(test_dps.SCRIPTS)} scripts x {test_dps.TIMES}: none hung",
        len(test_dps.SCRIPTS) * test_dps.TIMES >= 200,
    )


def test_f30_cable_pulled_while_deploying(row, full, tmp_path):
    """At each write of the host, by cable and by power; the whole of it is `make long`'s."""
    with Bench(tmp_path) as bench:
        steps, _, _ = places(bench)
        every = 1 if full else 20
        ran = [bench.strike(at, fault) for fault in ("cut", "power_off") for at in steps[::every]]
    row(
        "old or new software afterwards, and the next run ends well",
        f"{len(ran)} pulls: {ran.count(running(2))} left the new, the others the old",
        len(ran) >= (100 if full else 4),
    )
