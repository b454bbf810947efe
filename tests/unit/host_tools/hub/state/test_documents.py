import json

from expect import raises
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.state.documents import (
    NEVER,
    counter_etag,
    dotnet_ticks,
    etag_matches,
    iso_time,
    parse_json,
)


def test_json_is_taken_strictly():
    assert parse_json(b'{"a": [1, 2.5, null, true, "\xc3\xa9"]}') == {
        "a": [1, 2.5, None, True, "\u00e9"]
    }
    for text in (
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"[1,]",
        b"\xff",
        b'"\\ud800"',
        b'{"\\udc00": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
    ):
        with raises(ValueError):
            parse_json(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_a_value_error(text):
    try:
        json.dumps(parse_json(text)).encode("utf-8")
    except ValueError:
        pass


def test_times_and_etags_have_the_services_forms():
    assert iso_time(None) == NEVER
    assert iso_time(1603290042.4171) == "2020-10-21T14:20:42.417100Z"
    assert dotnet_ticks(0) == 621355968000000000
    assert counter_etag(1) == "AAAAAAAAAAE="
    assert counter_etag(7) == "AAAAAAAAAAc="


def test_if_match_is_taken_quoted_or_not():
    for given_tag in (None, "*", '"*"', "abc", '"abc"', 'W/"abc"', ' "abc" '):
        assert etag_matches(given_tag, "abc")
    for given_tag in ("", '""', "ab", '"abcd"'):
        assert not etag_matches(given_tag, "abc")
