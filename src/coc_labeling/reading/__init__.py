"""Reading a label: from free text to decisions, causes and what could not be read."""

from .comparing import Difference, differences
from .reader import read_sentence
from .reading import Colour, Motion, Reading, SaidCause, SaidDecision, State, UserClass

__all__ = [
    "Colour",
    "Difference",
    "Motion",
    "Reading",
    "SaidCause",
    "SaidDecision",
    "State",
    "UserClass",
    "differences",
    "read_sentence",
]
