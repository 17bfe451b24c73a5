"""One number per label: how likely it is wrong, by all that was found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from coc_labeling.checks.base import Finding, Verdict
from coc_labeling.schema import CoCLabel

LOW, HIGH = 0.3, 0.6
# Before anything speaks against a label: nothing could be observed, nothing speaks for it, one thing does.
UNOBSERVED_RISK, UNSUPPORTED_RISK, SUPPORTED_RISK = 0.5, 0.4, 0.2
FURTHER_SUPPORT = 0.7  # each further claim that is supported leaves so much of it
LEAST_RISK = 0.03


class Status(StrEnum):
    """What a label is worth, by its checks."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    UNVERIFIED = "unverified"  # nothing it claims could be observed
    UNREADABLE = "unreadable"  # its record or sentence is damaged, or says nothing of driving
    ABSTAINED = "abstained"  # there is no label


@dataclass(frozen=True)
class Risk:
    """The risk of one label.

    Attributes:
        value: 0 to 1.
        status: in a word.
        reasons: what speaks against it, the worst first; for an unverified label what could not be observed.
        raw: the value before it was calibrated; None where it was not.
    """

    value: float
    status: Status
    reasons: tuple[str, ...]
    raw: float | None = None

    def calibrated(self, value: float) -> "Risk":
        """Return the risk with a calibrated value, and the status that goes with it."""
        return replace(self, value=value, status=status_of(value, self.status), raw=self.value)


def risk_of(label: CoCLabel, findings: Sequence[Finding]) -> Risk:
    """Combine findings: each that speaks against a label leaves the chance that it is right all the same.

    An abstention has risk 0, there is nothing in it to be wrong; a label of which nothing could be observed has 0.5.
    """
    against = sorted((f for f in findings if f.severity > 0), key=lambda finding: -finding.severity)
    reasons = tuple(dict.fromkeys(finding.reason for finding in against))
    if label.abstention is not None:
        return Risk(0.0, Status.ABSTAINED, (f"there is no label: {label.abstention.reason.replace('_', ' ')}",))
    measured = [f for f in findings if f.sources and not f.sums_up and f.verdict is not Verdict.NOT_OBSERVABLE]
    supported = sum(f.verdict is Verdict.SUPPORTED for f in measured)
    right = 1.0 - _base(bool(measured), supported)
    for finding in against:
        right *= 1.0 - finding.severity
    value = 1.0 - right
    if any(f.check == "readable" and f.verdict is Verdict.CONTRADICTED for f in findings) and not _structured(label):
        return Risk(value, Status.UNREADABLE, reasons)
    if not measured:
        unseen = tuple(dict.fromkeys(f.reason for f in findings if f.verdict is Verdict.NOT_OBSERVABLE))
        return Risk(value, Status.UNVERIFIED, (*reasons, *unseen) or ("nothing it says can be observed",))
    return Risk(value, status_of(value, Status.MEDIUM), reasons)


def status_of(value: float, status: Status) -> Status:
    """Return the status of a risk that has become another value: statuses that no value leads to stay.

    Example:
        >>> [str(status_of(0.7, status)) for status in (Status.LOW, Status.UNVERIFIED)]
        ['high', 'unverified']
    """
    if status not in (Status.LOW, Status.MEDIUM, Status.HIGH):
        return status
    return Status.LOW if value < LOW else Status.HIGH if value >= HIGH else Status.MEDIUM


def _base(measured: bool, supported: int) -> float:
    if not measured:
        return UNOBSERVED_RISK
    if not supported:
        return UNSUPPORTED_RISK
    return max(LEAST_RISK, SUPPORTED_RISK * FURTHER_SUPPORT ** (supported - 1))


def _structured(label: CoCLabel) -> bool:
    return label.longitudinal is not None or label.lateral is not None
