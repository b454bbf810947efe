"""Tokens of ours are read back; whatever else comes is refused, and by nothing but JwtError."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire.jwt import MAX_TOKEN_CHARS, JwtError, build_jwt, parse_jwt

KEY = b"k" * 32


def part(document):
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_the_published_example():
    # Source: RFC 7515 appendix A.1, whose key and text these are
    key = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    assert parse_jwt(text, key) == {
        "iss": "joe",
        "exp": 1300819380,
        "http://example.com/is_root": True,
    }


def test_what_was_built_is_read_back():
    claims = {"aud": "https://ä", "exp": 5, "list": [1, None]}
    assert parse_jwt(build_jwt(claims, KEY), KEY) == claims


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256", "typ": "JWT", "kid": "x"}])
def test_an_algorithm_of_the_clients_choice(header):
    unsigned = f"{part(header)}.{part({'aud': 'x'})}."
    with pytest.raises(JwtError, match="not signed"):
        parse_jwt(unsigned, KEY)


def test_a_header_of_another_kind_under_the_right_key():
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'x'})}.{part({'aud': 'x'})}"
    mac = hmac.new(KEY, signed.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
    with pytest.raises(JwtError, match="another kind"):
        parse_jwt(f"{signed}.{signature}", KEY)


def test_another_key_a_changed_claim_and_a_long_text():
    good = build_jwt({"aud": "x"}, KEY)
    header, _, signature = good.split(".")
    changed = f"{header}.{part({'aud': 'y'})}.{signature}"
    for text, key in ((good, b"other"), (changed, KEY), (good + "x" * MAX_TOKEN_CHARS, KEY)):
        with pytest.raises(JwtError):
            parse_jwt(text, key)


@given(st.text(max_size=60) | st.from_regex(r"[\w-]+\.[\w-]+\.[\w-]*", fullmatch=True))
def test_whatever_comes_is_refused(text):
    with pytest.raises(JwtError):
        parse_jwt(text, KEY)
