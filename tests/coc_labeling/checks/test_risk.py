from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.checked import said
from coc_labeling.checks.base import EGO, Finding, Verdict
from coc_labeling.checks.risk import Status, risk_of

LABEL = said("Slow down.")


def finding(verdict: str, severity: float = 0.0, sources=EGO, reason: str = "why") -> Finding:
    return Finding("speed", Verdict(verdict), "it", reason, {}, sources, severity)


findings = st.lists(
    st.builds(finding, st.sampled_from(Verdict), st.floats(0, 1), st.sampled_from([EGO, frozenset()])), max_size=8
)


@given(findings)
def test_a_risk_is_a_share(found):
    assert 0.0 <= risk_of(LABEL, found).value <= 1.0


@given(findings, st.floats(0.01, 1))
def test_what_contradicts_never_lowers_the_risk(found, severity):
    supported = [*found, finding("supported")]
    assert risk_of(LABEL, [*supported, finding("contradicted", severity)]).value >= risk_of(LABEL, supported).value


@given(findings)
def test_what_supports_never_raises_the_risk(found):
    assert risk_of(LABEL, [*found, finding("supported")]).value <= risk_of(LABEL, found).value + 1e-9


@given(st.lists(st.builds(finding, st.just("not_observable")), max_size=4))
def test_nothing_observable_is_unverified_and_never_low(found):
    risk = risk_of(LABEL, found)
    assert (risk.status, risk.value) == (Status.UNVERIFIED, 0.5)
    assert risk.reasons


def test_what_sums_up_others_weighs_nothing():
    found = [finding("supported")]
    summed = replace(finding("supported"), sums_up=True)
    assert risk_of(LABEL, [*found, summed]) == risk_of(LABEL, found)
    assert risk_of(LABEL, [summed]).status is Status.UNVERIFIED


def test_text_alone_verifies_nothing():
    assert risk_of(LABEL, [finding("supported", sources=frozenset())]).status is Status.UNVERIFIED


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([finding("supported")], Status.LOW),
        ([finding("supported"), finding("contradicted", 0.4)], Status.MEDIUM),
        ([finding("supported"), finding("contradicted", 0.8)], Status.HIGH),
    ],
)
def test_statuses(found, status):
    assert risk_of(LABEL, found).status is status


def test_reasons_come_worst_first_and_once():
    found = [
        finding("contradicted", 0.2, reason="mild"),
        finding("contradicted", 0.8, reason="bad"),
        finding("contradicted", 0.8, reason="bad"),
    ]
    assert risk_of(LABEL, found).reasons == ("bad", "mild")
