"""Calls of Digital Twins apart from HTTP: bodies, and lists page by page."""

from urllib.parse import parse_qs

import pytest

from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.endpoints.graph_call import PAGE, TOKEN, Call, page_of, with_etag

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
        page = page_of(call(query, size="2"), ITEMS).document
        pages.append(page["value"])
        if page["nextLink"] is None:
            break
        url, _, text = page["nextLink"].partition("?")
        query = parse_qs(text)
        assert (url, query["of"]) == (URL, ["a b", "c"])
        assert len(query[TOKEN]) == 1
    assert pages == [ITEMS[:2], ITEMS[2:4], ITEMS[4:]]


@pytest.mark.parametrize(("size", "count"), [(None, PAGE), ("1", 1), ("100", 100), ("007", 7)])
def test_how_much_is_on_a_page(size, count):
    page = page_of(call(size=size), ({"n": n} for n in range(PAGE + 1))).document
    assert len(page["value"]) == count
    assert page["nextLink"]


@pytest.mark.parametrize(
    "size", ["", "0", "101", "-1", "x", "1.5", "²", "00000000119", "000000001" + "9" * 5000]
)
def test_a_page_of_another_size(size):
    assert "not in 1 to 100" in refused("InvalidArgument", page_of, call(size=size), ITEMS)


@pytest.mark.parametrize(
    # "", not Base64, not ASCII, not UTF-8, and of others: "graph", "graph -1", "graph 1…", "hub 1"
    "token",
    ["", "?", "ä", "_w==", "Z3JhcGg=", "Z3JhcGggLTE=", "Z3JhcGggMTIzNDU2Nzg5MDE=", "aHViIDE="],
)
def test_a_token_of_others(token):
    assert "none of this service" in refused("BadRequest", page_of, call({TOKEN: [token]}), ITEMS)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[NaN]", b"[" * 100_000])
def test_a_body_that_is_no_json(body):
    assert refused("InvalidArgument", call(body=body).json).startswith("The body is not JSON")


def test_the_parts_of_a_call():
    whole = call({"a": ["1", "2"]}, body=b'{"b": 3}', **{"If-Match": "x", "If-None-Match": "*"})
    assert (whole.name, whole.first("a"), whole.first("b")) == ("first", "1", None)
    assert (whole.json(), whole.if_match, whole.only_new) == ({"b": 3}, "x", True)
    assert (call().if_match, call().only_new) == (None, False)
    assert with_etag({"$etag": "e"}, 201).headers == {"ETag": "e"}
