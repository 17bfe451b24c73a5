"""Is a label true? Checks against ego motion, meta-actions and obstacle tracks; each says what it compared.

More are added by the entry-point group ``coc_labeling.checks``.
"""

from coc_labeling.checks.absent import AbsentCheck
from coc_labeling.checks.base import Case, Check, Finding, Verdict
from coc_labeling.checks.history import HistoryCheck
from coc_labeling.checks.lateral import DirectionCheck, LaneCheck, TurnCheck
from coc_labeling.checks.leads import LeadCheck, ObjectStateCheck
from coc_labeling.checks.motion import SpeedCheck, StopCheck
from coc_labeling.checks.objects import ObjectClassCheck, RoadUserCheck
from coc_labeling.checks.quality import CorrectnessCheck, CoverageCheck, MinimalityCheck, ProximityCheck
from coc_labeling.checks.refused import RefusedCheck
from coc_labeling.checks.risk import Risk, Status, risk_of
from coc_labeling.checks.texts import AbstentionCheck, ReadableCheck, RepetitionCheck, StructureCheck, WordingCheck
from coc_labeling.checks.timing import TimingCheck
from coc_labeling.checks.unmentioned import UnmentionedCheck
from coc_labeling.checks.unseen import BendCheck, UnseenCheck
from driving_clips import registry

ENTRY_POINTS = "coc_labeling.checks"
CHECKS_VERSION = 2  # raise it when checks change what they find
_BUILT_IN: tuple[type[Check], ...] = (
    StopCheck,
    SpeedCheck,
    DirectionCheck,
    TurnCheck,
    LaneCheck,
    UnmentionedCheck,
    RefusedCheck,
    TimingCheck,
    LeadCheck,
    RoadUserCheck,
    ObjectClassCheck,
    ObjectStateCheck,
    AbsentCheck,
    BendCheck,
    UnseenCheck,
    HistoryCheck,
    AbstentionCheck,
    ReadableCheck,
    StructureCheck,
    WordingCheck,
    RepetitionCheck,
    CoverageCheck,
    CorrectnessCheck,
    ProximityCheck,
    MinimalityCheck,
)
CHECKS: dict[str, type[Check]] = {check.name: check for check in _BUILT_IN}

__all__ = ["CHECKS", "CHECKS_VERSION", "Case", "Check", "Finding", "Risk", "Status", "Verdict", "all_checks", "risk_of"]


def all_checks() -> list[Check]:
    """Return all checks, the package's own first, then those of entry points."""
    return [registry.look_up("check", name, CHECKS, ENTRY_POINTS)() for name in registry.names(CHECKS, ENTRY_POINTS)]
