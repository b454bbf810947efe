"""Calls of Digital Twins apart from HTTP: bodies, and lists page by page."""

import base64
from urllib.parse import parse_qs

import pytest

from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.endpoints.graph_call import (
    MAX_QUERY_PAGE,
    PAGE,
    TOKEN,
    Call,
    page_of,
    with_etag,
)

URL = "https://hub.test/models"
ITEMS = [{"n": number} for number in range(5)]


def call(query=None, size=None, body=b"", **headers):
    if size is not None:
        headers["max-items-per-page"] = size
    return Call(("first", "second"), query or {}, headers, body, URL)


def refused(code, what, *arguments):
    with pytest.raises(GraphError) as caught:
        what(*arguments)
    assert caught.value.code == code
    return caught.value.message


def test_pages_follow_each_other_and_keep_the_query():
    query, pages = {"api-version": ["1"], "of": ["a b", "c"]}, []
    while True:
        page = page_of(call(query, size="2"), reversed(ITEMS), "n").document
        pages.append(page["value"])
        if page["nextLink"] is None:
            break
        url, _, text = page["nextLink"].partition("?")
        query = parse_qs(text)
        assert (url, query["of"]) == (URL, ["a b", "c"])
        assert len(query[TOKEN]) == 1
    assert pages == [ITEMS[:2], ITEMS[2:4], ITEMS[4:]]


def test_what_is_deleted_meanwhile_hides_nothing():
    left, seen, query = [{"n": f"{number:03}"} for number in range(251)], [], {}
    while True:
        page = page_of(call(query), list(left), "n").document
        for item in page["value"]:
            seen.append(item)
            left.remove(item)
        if page["nextLink"] is None:
            break
        query = parse_qs(page["nextLink"].partition("?")[2])
    assert (len(seen), left) == (251, [])


@pytest.mark.parametrize(
    ("size", "count"),
    [(None, PAGE), ("1", 1), ("100", 100), ("007", 7)]
    # More than there may be is a wish, and no mistake
    + [(size, PAGE) for size in ("101", "00000000119", "000000001" + "9" * 5000)],
)
def test_how_much_is_on_a_page(size, count):
    page = page_of(call(size=size), ({"n": n} for n in range(PAGE + 1)), "n").document
    assert len(page["value"]) == count
    assert page["nextLink"]


@pytest.mark.parametrize(("size", "count"), [(None, PAGE), ("101", 101), ("1001", 1000)])
def test_how_much_of_a_query_is_on_a_page(size, count):
    assert call(size=size).page_size(MAX_QUERY_PAGE) == count


@pytest.mark.parametrize("size", ["", "0", "000", "-1", "x", "1.5", "²"])
def test_a_page_of_another_size(size):
    assert "not a number of 1" in refused("InvalidArgument", page_of, call(size=size), ITEMS, "n")


@pytest.mark.parametrize(
    "token",
    ["", "?", "ä", "_w=="]  # not Base64, not ASCII, not UTF-8
    + [
        base64.urlsafe_b64encode(text.encode()).decode()
        for text in ("graph 999999999", "3", '["graph"]', '["graph", -1]', '["hub", 1, "a"]')
        + ('["graph", "1"]', '["graph", 1.5, "a"]', '{"graph": 1}', "[" * 100_000)
    ],
)
def test_a_token_of_others(token):
    message = refused("BadRequest", page_of, call({TOKEN: [token]}), ITEMS, "n")
    assert "none of this service" in message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[NaN]", b"[" * 100_000])
def test_a_body_that_is_no_json(body):
    assert refused("InvalidArgument", call(body=body).json).startswith("The body is not JSON")


def test_a_header_that_cannot_be_told_on():
    found = call(**{"Message-Id": "m1", "Broken": "\udcff"})
    assert (found.text("Message-Id"), found.text("Other")) == ("m1", "")
    assert "Broken" in refused("InvalidArgument", found.text, "Broken")


def test_the_parts_of_a_call():
    whole = call({"a": ["1", "2"]}, body=b'{"b": 3}', **{"If-Match": "x", "If-None-Match": "*"})
    assert (whole.name, whole.first("a"), whole.first("b")) == ("first", "1", None)
    assert (whole.json(), whole.if_match, whole.only_new) == ({"b": 3}, "x", True)
    assert (call().if_match, call().only_new) == (None, False)
    assert with_etag({"$etag": "e"}, 201).headers == {"ETag": "e"}
