"""A board without hardware: `PseudoBoard`; see hardware.py."""

from pseudo_board.hardware import PseudoBoard

__all__ = ["PseudoBoard"]
