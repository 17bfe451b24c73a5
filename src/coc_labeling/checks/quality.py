"""The rules of quality as results: coverage, correctness, proximity, minimality."""

from collections.abc import Iterator, Sequence

from coc_labeling.checks.base import TRACKS, Case, Check, Finding, Verdict
from coc_labeling.checks.placing import leads_around, objects_of
from coc_labeling.schema import UNOBSERVED, FactSource, Lateral, Longitudinal

NEAR_SEC = 2.0  # a lead that is nearer than this, or stands, shapes what ego does with its speed
NEAR_M = 15.0
MOST_CAUSES = 3  # of one decision
MOST_PARTS = 2  # "slow down, then turn" is still one decision and what it leads to


def _channels(case: Case) -> list[Longitudinal | Lateral]:
    return [channel for channel in (case.label.longitudinal, case.label.lateral) if channel is not None]


class CoverageCheck(Check):
    """Each decision has a cause, or says that none was observed."""

    name = "coverage"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each decision, or for the sentence where a label has no more than that."""
        if case.label.abstention is not None:
            return
        for channel in _channels(case):
            about = str(channel.decision).replace("_", " ")
            if channel.cause_ids == (UNOBSERVED,):
                yield self.not_observable(about, "no cause was observed, and the label says so")
            else:
                yield self.supported(about, f"it has {len(channel.cause_ids)} causes", frozenset())
        if not _channels(case) and case.claims.decisions:
            about = case.claims.decisions[0].text
            if case.claims.causes:
                yield self.supported(about, "the sentence names a cause", frozenset())
            else:
                yield self.contradicted(about, "the sentence names no cause", 0.15)


class CorrectnessCheck(Check):
    """The causes of each decision are there, by what the other checks found. Counted there, and not twice."""

    name = "correctness"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for each decision with causes."""
        numbers = {cause.component_id: cause.number for cause in case.claims.causes if cause.component_id}
        for channel in _channels(case):
            causes = frozenset(numbers[cause_id] for cause_id in channel.cause_ids if cause_id in numbers)
            if causes:
                yield self._of(str(channel.decision).replace("_", " "), causes, earlier)
        if not _channels(case) and case.claims.causes:
            yield self._of("the sentence", frozenset(cause.number for cause in case.claims.causes), earlier)

    def _of(self, about: str, causes: frozenset[int], earlier: Sequence[Finding]) -> Finding:
        own = [finding for finding in earlier if finding.sources and finding.cause in causes]
        sources = frozenset[FactSource]().union(*(finding.sources for finding in own))
        wrong = {finding.cause for finding in own if finding.verdict is Verdict.CONTRADICTED}
        seen = {finding.cause for finding in own if finding.verdict is Verdict.SUPPORTED}
        verdict, reason = Verdict.NOT_OBSERVABLE, "not all of its causes can be seen"
        if wrong:
            verdict, reason = Verdict.CONTRADICTED, f"{len(wrong)} of {len(causes)} causes are contradicted"
        elif seen >= causes:
            verdict, reason = Verdict.SUPPORTED, "all of its causes are there"
        return Finding(self.name, verdict, about, reason, {"causes": float(len(causes))}, sources, sums_up=True)


class ProximityCheck(Check):
    """The nearest sufficient cause of a change of speed is among those given."""

    name = "proximity"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding where ego slows down right behind a vehicle."""
        driven, leads = case.driven, leads_around(case, (-2, 5))
        if not leads or driven.course is None or driven.course.fall_mps(4.0) < 1.0 or not case.claims.decisions:
            return
        lead = leads[0]
        near = lead.distance_m <= NEAR_M or lead.time_gap_sec <= NEAR_SEC
        if not near or lead.closing_mps <= 0.5:
            return
        numbers = {"distance_m": lead.distance_m, "closing_mps": lead.closing_mps}
        about = "the cause of slowing down"
        if objects_of(case):
            yield self.supported(about, "a road user is among the causes", TRACKS, **numbers)
        elif case.claims.cited:
            reason = f"it does not name the vehicle {lead.distance_m:.0f} m ahead that ego closes in on"
            yield self.contradicted(about, reason, 0.25, TRACKS, **numbers)


class MinimalityCheck(Check):
    """Only what is decided first, and only what matters."""

    name = "minimality"

    def find(self, case: Case, earlier: Sequence[Finding]) -> Iterator[Finding]:
        """Yield a finding for many causes of one decision, and for decisions that come later."""
        for channel in _channels(case):
            if len(channel.cause_ids) > MOST_CAUSES:
                about = str(channel.decision).replace("_", " ")
                yield self.contradicted(
                    about, f"it has {len(channel.cause_ids)} causes", 0.1, causes=len(channel.cause_ids)
                )
        parts = 1 + max((claim.part for claim in case.claims.decisions), default=0)
        if parts > MOST_PARTS:
            reason = f"the sentence tells {parts} decisions one after the other"
            yield self.contradicted("the sentence", reason, 0.1, parts=parts)
