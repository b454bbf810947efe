"""What the query languages of IoT Hub and of Digital Twins have in common when they are read."""

from __future__ import annotations

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput

_SHOWN = {
    "COMPARISON": "a comparison",
    "SUM_SIGN": "'+' or '-'",
    "PRODUCT_SIGN": "'*', '/' or '%'",
    "NAME": "a name",
    "BRACKETED": "a name in [[ ]]",
    "NUMBER": "a number",
    "INT": "a number",
    "STRING": "a text in quotes",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "COMMA": "','",
    "DOT": "'.'",
    "STAR": "'*'",
    "MINUS": "'-'",
    "SEMICOLON": "';'",
    "$END": "the end",
    "<END-OF-FILE>": "the end",
}


def where_it_ends(error: UnexpectedInput, text: str) -> str:
    """The place where a text can no longer be understood, and what could stand there."""
    if isinstance(error, UnexpectedCharacters):
        at, names = error.pos_in_stream or 0, error.allowed or set()
        found = repr(text[at : at + 1])
    else:
        token, names = getattr(error, "token", None), getattr(error, "expected", set())
        at, found = len(text), "the end"
        if token is not None and token.type != "$END":
            at, found = token.start_pos, repr(str(token))
    wanted = ", ".join(sorted({_SHOWN.get(name, name.lstrip("_")) for name in names}))
    return f"At character {at + 1}: {found} is not understood; expected {wanted}."


def unquoted(token: Token) -> str:
    """The text between quotes; a backslash stands before what is meant as it is."""
    text, result, at = str(token)[1:-1], [], 0
    while at < len(text):
        at += text[at] == "\\"
        result.append(text[at])
        at += 1
    return "".join(result)
