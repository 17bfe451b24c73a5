"""The templates, and the words and numbers that they show. Everything is escaped."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from coc_labeling.report.page import percent

_REASONS = {
    "red_light_ignored": "red light ignored",
    "not_there": "about somebody who is not there",
    "same_sentence": "what is said of everything",
    "future_as_cause": "future told as a cause",
    "empty": "empty or says nothing",
    "empty_confidence": "confidence says nothing",
}


def environment() -> Environment:
    """Return the environment of all pages."""
    made = Environment(
        loader=PackageLoader("coc_labeling.review.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "count": lambda number: f"{number:,}",
        "percent": percent,
        "words": words,
        "reason": lambda name: _REASONS.get(name, words(name)),
        "seconds": seconds,
        "utc": utc,
        "duration": duration,
    }
    made.filters.update(filters)
    return made


def words(name: object) -> str:
    """Return a name of the taxonomy in words.

    Example:
        >>> words("nudge_in_lane")
        'nudge in lane'
    """
    return str(name).replace("_", " ")


def seconds(t_us: int) -> str:
    """Return a time on the clip clock.

    Example:
        >>> seconds(5_400_000)
        '5.4 s'
    """
    return f"{t_us / 1e6:.1f} s"


def duration(sec: float | None) -> str:
    """Return how long something took.

    Example:
        >>> duration(42.4), duration(150), duration(None)
        ('42 s', '2.5 min', 'not yet')
    """
    if sec is None:
        return "not yet"
    return f"{sec:.0f} s" if sec < 100 else f"{sec / 60:,.1f} min"


def utc(at: datetime) -> str:
    """Return a moment in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}"
