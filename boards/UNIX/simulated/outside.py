"""The weather: an hourly record replayed, read from its file as it is needed.

The file is the `seattle-temps.csv` of the PyPI package vega-datasets: a heading, then rows
`2010/01/01 00:00,39.4`, one an hour, in °F. Two rows are in memory at a time. At the end the
record starts again.
"""

# When there is no record: a mild winter day that never ends.
WITHOUT_RECORD_C = 5.0
_HOUR_S = 3600


def _celsius(row):
    return (float(row.split(b",")[1]) - 32) * 5 / 9


class Outside:
    """Replay of the file at `path` (None: no record) that begins at `first_row`, row 0 being the
    first after the heading.

    Raises OSError if there is no such file, ValueError if it is not such a record.
    """

    def __init__(self, path, first_row=0):
        self._file = None
        self._first_row = first_row
        self._hour = 0
        self._this_c = self._next_c = WITHOUT_RECORD_C
        if path:
            self._file = open(path, "rb")
            self._rewind(first_row)

    def temperature_c(self, room_s):
        """The outside after `room_s` seconds of replay, straight from one hour to the next.
        Meant to be asked in rising order; going back reads from the start."""
        hour = int(room_s // _HOUR_S)
        if self._file is not None:
            if hour < self._hour:
                self._rewind(self._first_row)
            while self._hour < hour:
                self._this_c, self._next_c = self._next_c, self._read()
                self._hour += 1
        part = (room_s - hour * _HOUR_S) / _HOUR_S
        return self._this_c + (self._next_c - self._this_c) * part

    def _rewind(self, row):
        self._file.seek(0)
        self._file.readline()
        for _ in range(row):
            if not self._file.readline():
                raise ValueError("the record of the outside has no row %d" % row)
        self._hour = 0
        self._this_c, self._next_c = self._read(), self._read()

    def _read(self):
        row = self._file.readline()
        if not row.strip():
            self._file.seek(0)
            self._file.readline()
            row = self._file.readline()
        try:
            return _celsius(row)
        except (IndexError, ValueError):
            raise ValueError("no temperature in %r" % row)
