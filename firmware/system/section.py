"""Numbers and switches of a configuration file, checked against a table of what there is.

A row of a table is (key, default, lowest, highest), or (key, True or False) for a switch. The
default's type decides: an int stays a whole number; a key that ends in `_c` is in °C in the file
and becomes the attribute `…_centi_c`, an int in 0.01 °C.
"""

from micropython import const

from system.store import ConfigurationError

# What a file may hold in one text; nothing of ours is longer than a connection string
_LONGEST_TEXT = const(512)
_SHOWN_CHARACTERS = const(24)


class Section:
    """Attributes by a table's keys, at first with its defaults."""

    def __init__(self, rows):
        for row in rows:
            setattr(self, attribute(row[0]), _kept(row[0], row[1]))


def attribute(key):
    """The attribute that `key` becomes."""
    return key[:-2] + "_centi_c" if key.endswith("_c") else key


def fill(section, rows, found, path):
    """Take over `found` (what the file has at `path`) into `section`.

    Raises ConfigurationError for an unknown key, a wrong type or a value out of range.
    """
    refuse_unknown(expect_dict(found, path), [row[0] for row in rows], path)
    for row in rows:
        if row[0] in found:
            value = found[row[0]]
            where = joined(path, row[0])
            if isinstance(row[1], bool):
                checked_switch(value, where)
            else:
                checked_number(value, row[2], row[3], where, row[0].endswith("_c"))
            setattr(section, attribute(row[0]), _kept(row[0], value))


def _kept(key, value):
    return round(value * 100) if key.endswith("_c") else value


def joined(path, key):
    return "%s.%s" % (path, key) if path else key


def checked_switch(value, path):
    if not isinstance(value, bool):
        raise ConfigurationError(path, "must be true or false, not %s" % _shown(value))
    return value


def checked_number(value, lowest, highest, path, fraction=False):
    kinds = (int, float) if fraction else int
    # A float that is no number compares false to everything, and so is refused too
    if isinstance(value, bool) or not isinstance(value, kinds) or not lowest <= value <= highest:
        what = "a number" if fraction else "a whole number"
        raise ConfigurationError(
            path, "must be %s from %s to %s, not %s" % (what, lowest, highest, _shown(value))
        )
    return value


def checked_text(value, path, longest=_LONGEST_TEXT):
    """A text's value is never in the message: it may be a secret."""
    if not isinstance(value, str):
        raise ConfigurationError(path, "must be a text, not %s" % _kind(value))
    if len(value) > longest:
        raise ConfigurationError(path, "is longer than %d characters" % longest)
    return value


def expect_dict(found, path):
    if not isinstance(found, dict):
        raise ConfigurationError(path, "must be an object {...}, not %s" % _kind(found))
    return found


def refuse_unknown(found, known, path):
    """Raise ConfigurationError for the first key that is not in `known`, naming the nearest."""
    for key in sorted(found):
        if key not in known:
            raise ConfigurationError(
                joined(path, key[:_SHOWN_CHARACTERS]),
                "unknown key",
                'did you mean "%s"? Correct it or take it away, then start again'
                % nearest(key, known),
            )


def nearest(word, words):
    """Which of `words` differs from `word` by the fewest letters."""
    return min(sorted(words), key=lambda other: _distance(word[:40], other))


def _distance(one, other):
    """Letters to insert, delete or replace (Levenshtein 1966), by rows."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one):
        diagonal = row[0]
        row[0] = at + 1
        for column, against in enumerate(other):
            replaced = diagonal + (letter != against)
            diagonal = row[column + 1]
            row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
    return row[-1]


def _kind(value):
    if value is None:
        return "null"
    for kind, name in (
        (bool, "true or false"),
        (str, "text"),
        (list, "a list"),
        (dict, "an object"),
    ):
        if isinstance(value, kind):
            return name
    return "a number"


def _shown(value):
    """Numbers as they are, of all else only the kind."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _kind(value)
    if isinstance(value, int) and not -(1 << 62) < value < 1 << 62:
        return "a number of many digits"
    return str(value)
