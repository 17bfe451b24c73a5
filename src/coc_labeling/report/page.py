"""The page: templates filled with what ``sections`` gathered. Everything that is shown is escaped."""

from collections.abc import Callable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from coc_labeling.report.palette import action_colour, risk_colour, side_colour
from coc_labeling.report.sections import Report

# No request leaves the page and no script runs in it, whatever a label's text says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(report: Report) -> str:
    """Return the page as HTML."""
    return _environment().get_template("page.html").render(report=report, policy=POLICY)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("coc_labeling.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "count": lambda number: f"{number:,}",
        "percent": percent,
        "duration": duration,
        "words": lambda name: str(name).replace("_", " "),
        "cause": lambda cause: str(cause).replace("_", " ").replace(":", " · "),
        "rate": lambda rate: "–" if rate is None else f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}",
        "colour": action_colour,
        "side_colour": side_colour,
        "risk_colour": risk_colour,
        "decimals": lambda value: "–" if value is None else f"{value:.2f}",
        "usd": usd,
    }
    environment.filters.update(filters)
    return environment


def percent(share: float | None) -> str:
    """Return a share (0 to 1) as text, small ones with a digit more.

    Example:
        >>> percent(0.5), percent(0.004), percent(None)
        ('50 %', '0.4 %', '–')
    """
    if share is None:
        return "–"
    value = share * 100
    if 0 < value < 0.05:
        return "< 0.1 %"
    return f"{value:.1f} %" if value < 9.95 and value != int(value) else f"{value:.0f} %"


def duration(seconds: float) -> str:
    """Return a long time in hours, a shorter one in minutes.

    Example:
        >>> duration(90), duration(36_000_000)
        ('1.5 min', '10,000.0 h')
    """
    return f"{seconds / 3600:,.1f} h" if seconds >= 7200 else f"{seconds / 60:.1f} min"


def usd(amount: float | None) -> str:
    """Return an amount with the digits that tell, or that it is unknown.

    Example:
        >>> usd(12.345), usd(0.00321), usd(None)
        ('$12.35', '$0.0032', 'price unknown')
    """
    if amount is None:
        return "price unknown"
    if amount == 0 or amount >= 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if amount >= 0.0001 else "< $0.0001"
