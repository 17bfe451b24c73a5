"""On which side of the road traffic keeps, by country."""

from typing import Literal

DrivingSide = Literal["left", "right"]

# Where traffic keeps to the left: names and ISO 3166-1 codes (Vienna Convention's annexes; UN list of traffic signs).
_LEFT = """
    australia au aus|bangladesh bd bgd|barbados bb brb|bhutan bt btn|botswana bw bwa|brunei bn brn|cyprus cy cyp
    fiji fj fji|hong kong hk hkg|india in ind|indonesia id idn|ireland ie irl|jamaica jm jam|japan jp jpn|kenya ke ken
    lesotho ls lso|macau mo mac|malawi mw mwi|malaysia my mys|malta mt mlt|mauritius mu mus|mozambique mz moz
    namibia na nam|nepal np npl|new zealand nz nzl|pakistan pk pak|papua new guinea pg png|singapore sg sgp
    south africa za zaf|sri lanka lk lka|tanzania tz tza|thailand th tha|trinidad and tobago tt tto|uganda ug uga
    united kingdom gb gbr|uk|great britain|england|scotland|wales|zambia zm zmb|zimbabwe zw zwe
"""
_CODES = 2  # at the end of an entry with codes


def _names(entry: str) -> set[str]:
    words = entry.split()
    codes = [word for word in words[-_CODES:] if len(word) <= 3] if len(words) > 1 else []
    return {" ".join(words[: len(words) - len(codes)]), *codes} - {""}


_LEFT_NAMES = frozenset(name for line in _LEFT.split("\n") for entry in line.split("|") for name in _names(entry))


def driving_side_of(country: str) -> DrivingSide:
    """Return the side that a country's traffic keeps to, by its English name or ISO 3166-1 code.

    Example:
        >>> driving_side_of("United Kingdom"), driving_side_of("DE")
        ('left', 'right')
    """
    return "left" if " ".join(country.lower().replace("_", " ").split()) in _LEFT_NAMES else "right"
