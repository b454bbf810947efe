"""Which inputs a run has."""

import os
import secrets


def seed(default_is_fixed="THERMO_FUZZ" not in os.environ):
    """THERMO_SEED gives a run again. A change must not turn red by what another has left, so the
    sample has the same inputs each time; long runs (THERMO_FUZZ) have others."""
    chance = 1 if default_is_fixed else secrets.randbelow(1 << 30)
    return int(os.environ.get("THERMO_SEED", chance))
