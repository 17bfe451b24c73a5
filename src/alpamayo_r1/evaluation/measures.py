"""All measures: what each is called, in which unit, and which way is better."""

from dataclasses import dataclass

from alpamayo_r1.evaluation.displacement import HORIZONS_SEC


@dataclass(frozen=True)
class Measure:
    """One number of a scene.

    Attributes:
        key: its name in files.
        title: in tables.
        unit: m, m/s², ...; ``%`` for shares, which are 0 to 1 in files; empty for counts.
        group: under which heading it stands.
        lower_is_better: None where neither is.
    """

    key: str
    title: str
    unit: str
    group: str
    lower_is_better: bool | None = True


DISTANCE, COMFORT, TEXT, VARIETY = "Distance from what was driven", "Comfort", "Sentences", "Variety of samples"

_USUAL = tuple(Measure(f"min_ade@{h:g}", f"minADE at {h:g} s", "m", DISTANCE) for h in HORIZONS_SEC)
_BY_T = tuple(
    Measure(f"min_ade/by_t={h:.1f}{end}", f"minADE by_t {h:g} s{told}", "m", DISTANCE, better)
    for h in HORIZONS_SEC
    for end, told, better in (("", "", True), ("_std", ", std over sets", None))
)

MEASURES: tuple[Measure, ...] = (
    *_USUAL,
    *_BY_T,
    Measure("min_ade", "minADE, full horizon", "m", DISTANCE),
    Measure("min_ade_std", "minADE, full horizon, std over sets", "m", DISTANCE, None),
    Measure("ade", "ADE, mean of samples", "m", DISTANCE),
    Measure("fde", "FDE, mean of samples", "m", DISTANCE),
    Measure("min_fde", "minFDE", "m", DISTANCE),
    Measure("corner_distance", "corner distance", "m", DISTANCE),
    Measure("corner_distance_std", "corner distance, std over sets", "m", DISTANCE, None),
    Measure("off_path", "off path", "%", DISTANCE),
    Measure("points_judged", "points beside the driven path", "%", DISTANCE, None),
    Measure("max_accel", "largest |acceleration along|", "m/s²", COMFORT),
    Measure("max_lateral", "largest |acceleration across|", "m/s²", COMFORT),
    Measure("max_jerk", "largest |jerk along|", "m/s³", COMFORT),
    Measure("beyond_accel", "beyond the limit along", "%", COMFORT),
    Measure("beyond_lateral", "beyond the limit across", "%", COMFORT),
    Measure("beyond_jerk", "beyond the limit of jerk", "%", COMFORT),
    Measure("uncomfortable", "beyond any limit", "%", COMFORT),
    Measure("driven_uncomfortable", "the same, of what was driven", "%", COMFORT, None),
    Measure("consistency", "consistent, of those that can be told", "%", TEXT, False),
    Measure("consistent", "consistent", "%", TEXT, False),
    Measure("contradicted", "contradicted", "%", TEXT),
    Measure("unclear", "unclear", "%", TEXT, None),
    Measure("unreadable", "unreadable", "%", TEXT),
    Measure("unmentioned", "a manoeuvre goes unsaid", "%", TEXT),
    Measure("longitudinal_agrees", "decision on speed is the label's", "%", TEXT, False),
    Measure("lateral_agrees", "decision on the lane is the label's", "%", TEXT, False),
    Measure("unstopped", "text that did not end", "%", TEXT),
    Measure("distinct_sentences", "distinct sentences", "%", VARIETY, None),
    Measure("distinct_decisions", "distinct decisions", "", VARIETY, None),
    Measure("end_spread", "spread of end points", "m", VARIETY, None),
    Measure("pairwise_ade", "ADE between samples", "m", VARIETY, None),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
KEYS = tuple(BY_KEY)

# Of groups of scenes: what fits into a row.
GROUPED = (
    "min_ade@3",
    "min_ade@6.4",
    "ade",
    "fde",
    "corner_distance",
    "off_path",
    "uncomfortable",
    "consistency",
    "contradicted",
    "longitudinal_agrees",
    "lateral_agrees",
    "pairwise_ade",
)


def shown(key: str, value: float | None) -> str:
    """Return a value as text, without its unit but for shares.

    Example:
        >>> shown("off_path", 0.125), shown("min_ade", 1.2345), shown("min_ade", None)
        ('12.5 %', '1.234', '–')
    """
    if value is None:
        return "–"
    if BY_KEY[key].unit == "%":
        return f"{value * 100:.1f} %"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
