"""What tracks can tell at all around a keyframe: who is not in them may be there where nobody measured."""

import re

import numpy as np

from coc_labeling.checks.base import Case
from coc_labeling.checks.claims import CauseClaim
from coc_labeling.checks.kinds import TRACKED
from coc_labeling.reading.reading import UserClass
from driving_clips.ego_motion import TICK_US

LEAST_RANGE_M = 30.0  # where others are seen no further, one that is not seen may be there
SURE_RANGE_M = 60.0  # where others are seen so far away, one that is not seen is hardly there
EDGE_SHARE = 0.8  # of the range: who is seen last beyond it has left what is seen
AT_ONCE_US = 500_000  # tracks that end or begin so close to each other do so together
MAX_READ = 2000  # characters of a sentence that a distance is looked for in
_METRES = re.compile(r"\b(\d{1,3})(?:\.\d{1,3})? ?-?(?:m|met(?:re|er)s?)(?![/\w])")


def others_unknown(case: Case) -> str | None:
    """Return why nothing is known of others around the keyframe; None where they are measured."""
    if not case.scene.has_tracks:
        return "the tracks cannot be relied on" if case.scene.problems else "there are no obstacle tracks"
    if not case.scene.observed_at(case.t0) and not _nobody_around(case):
        return "nobody was measured within half a second of the keyframe"
    return None


def _nobody_around(case: Case) -> bool:
    """Say whether nobody is measured because nobody is there.

    So it is where those who were seen last before the keyframe left at the edge of what is seen, and those who are seen
    first after it come in there. Tracks that break off near ego tell that nobody measured.
    """
    users, scene = case.scene.users, case.scene
    if users is None or not len(users) or scene.range_m < SURE_RANGE_M:
        return False
    t_us, first_us, last_us = case.t0 * TICK_US, users.tracks.first_us, users.tracks.last_us
    before, after = last_us < t_us, first_us > t_us
    edge = np.zeros(len(users), dtype=np.int64)
    edge[before], edge[after] = last_us[before], first_us[after]
    latest = before & (edge >= edge[before].max(initial=0) - AT_ONCE_US)
    earliest = after & (edge <= edge[after].min(initial=np.iinfo(np.int64).max - AT_ONCE_US) + AT_ONCE_US)
    own = np.flatnonzero(latest | earliest)
    ticks = np.where(before[own], edge[own] // TICK_US, -(-edge[own] // TICK_US))
    rows = np.clip(ticks - scene.first_tick, 0, users.s.shape[1] - 1)
    gap = users.tracks.xy[own, rows] - scene.ego.xyz[rows + scene.first_tick - scene.ego.first_tick, :2]
    return bool(len(own)) and bool((np.hypot(gap[:, 0], gap[:, 1]) >= EDGE_SHARE * scene.range_m).all())


def unseen_because(cause: CauseClaim, case: Case, within_m: float = LEAST_RANGE_M) -> str | None:
    """Return why a road user within some distance may be there though no track shows it; None where one would."""
    if cause.user_class in (UserClass.OBJECT, UserClass.ANIMAL):
        return "objects and animals are rarely tracked"
    if case.scene.range_m < max(within_m, said_m(cause, case)):
        return f"others are seen up to {case.scene.range_m:.0f} m only"
    classes = {track.label_class for track in case.scene.tracks}
    if cause.user_class in TRACKED and classes == {"other_vehicle"}:
        return "a radar's tracks show nobody on foot or on two wheels"
    return None


def said_m(cause: CauseClaim, case: Case) -> float:
    """Return the furthest distance that a cause or the label's sentence gives, in m; 0 where they give none."""
    words = f"{cause.text} {case.label.effect_on_ego_behavior or ''}"[:MAX_READ].lower()
    return max((float(number) for number in _METRES.findall(words)), default=0.0)


def no_such_track(track_id: str) -> str:
    """Return the reason for a track that a label names and the clip does not have."""
    return f"it names track {track_id!r}, which has no place in this clip"
