"""Whole numbers fit up to the last one of their schema."""

import pytest

from host_tools.hub.digital_twins.schemas import misfit

LIMIT = {"integer": 1 << 31, "long": 1 << 63}


@pytest.mark.parametrize("schema", LIMIT)
def test_the_last_number_at_each_end_fits_and_the_next_does_not(schema):
    limit = LIMIT[schema]
    for value in (limit - 1, -limit, float(-limit), 0, 2.0):
        assert misfit(schema, value, "value") is None, value
    for value in (limit, -limit - 1, float(limit), 1e300, 10**400, 0.5, True, "1", None):
        assert misfit(schema, value, "value") == f"value is not of schema {schema}", value
