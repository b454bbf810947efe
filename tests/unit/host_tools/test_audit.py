"""An audit tells what it knows, and says so where it knows nothing."""

from tests.audit import judged

CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


def test_nobody_asked_is_not_clean():
    for found in ([], [UNKNOWN]):
        assert judged("x/r.txt", found) == (
            "r.txt: not audited, advisories cannot be reached from here",
            False,
        )


def test_what_is_known_is_told_and_what_is_not_is_counted():
    assert judged("r.txt", [CLEAN, UNKNOWN]) == (
        "r.txt: 1 packages audited, nothing known against them, 1 not audited (unknown there)",
        False,
    )


def test_an_advisory_is_red_and_named():
    line, is_bad = judged("r.txt", [CLEAN, BAD])
    assert is_bad
    assert line == "r.txt: advisories against b 2 (CVE-1, CVE-2)"
