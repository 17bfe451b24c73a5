import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.reviews import ACCEPT, PLAIN, UNSURE, filled, follows, review, turns
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import Kind, QueueSettings, Stratum
from coc_labeling.review.batches.queue import Filters, enlarge, next_task, page
from coc_labeling.review.judgements import Edit, Judgement, Reason, Verdict
from coc_labeling.review.phases import Phase
from coc_labeling.review.results import outcomes as module
from coc_labeling.review.results.outcomes import Outcome, Review, outcomes
from coc_labeling.schema import Longitudinal

REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.HAZARD_MISSED)
STOPS = Judgement(
    verdict=Verdict.EDIT,
    edit=Edit(longitudinal=Longitudinal(decision="stop", cause_ids=("unobserved",)), sentence="Stop."),
)
REWORDED = Judgement(
    verdict=Verdict.EDIT,
    edit=Edit(
        longitudinal=follows().longitudinal, components=follows().components, sentence="Follow the lead vehicle <b>."
    ),
)
TWICE = QueueSettings(batch_size=10, second_share=1, audit_share=0.999999, planted_share=0.2, blank_share=0)


def outcome(*judgements: tuple[Kind, Judgement], label=None) -> Outcome:
    ranked = sorted(judgements, key=lambda one: (Kind.AUDIT, Kind.FIRST, Kind.SECOND).index(one[0]))
    reviews = tuple(Review(number, f"p{number}", *one) for number, one in enumerate(ranked))
    return Outcome("clip", 1, label or follows(), reviews, None, None, 1)


@pytest.fixture
def store(tmp_path):
    store = filled(str(tmp_path), count=6)
    yield store
    store.close()


def tasks(store, **filters):
    return {(one.clip_id, one.t_us): one for one in page(store, Filters(**filters), limit=500).tasks}


def test_what_people_left_of_labels(store):
    numbers = [one.task for one in tasks(store, decision="follow_lead").values()]
    for task, judgement in zip(numbers, (ACCEPT, STOPS, REJECT, UNSURE), strict=True):
        review(store, task, "ann", judgement)
    found = list(outcomes(store))
    assert [(one.clip_id, one.t_us) for one in found] == sorted((one.clip_id, one.t_us) for one in found)
    by_task = {one.reviews[0].task: one for one in found}
    accepted, edited, rejected, unsure = (by_task[task] for task in numbers)
    assert (accepted.result, accepted.accepted, accepted.kept) == (follows(), True, True)
    assert edited.label == follows()
    assert edited.result.longitudinal.decision == "stop"
    assert (edited.result.effect_on_ego_behavior, edited.accepted) == ("Stop.", True)
    assert (rejected.result, rejected.reason, rejected.kept) == (None, Reason.HAZARD_MISSED, False)
    assert (unsure.result, unsure.verdict, unsure.accepted) == (None, Verdict.UNSURE, False)
    assert {one.agreed for one in found} == {None}
    assert {one.reviewers for one in found} == {("ann",)}


def test_stratum_probability_and_wave_are_those_of_the_first_task(store):
    for one in tasks(store).values():
        review(store, one.task, "ann")
    listed = tasks(store)
    for one in outcomes(store):
        task = listed[one.clip_id, one.t_us]
        assert (one.stratum, one.inclusion_probability, one.wave) == (task.stratum, task.inclusion_probability, 1)
    assert sum(one.stratum is Stratum.RANDOM for one in outcomes(store)) == 1


def test_only_the_judgement_that_holds_counts(store):
    revision = review(store, 1, "ann", REJECT)
    revision = store.judge(1, "ann", revision, UNSURE)
    revision = store.judge(1, "ann", revision, ACCEPT)
    revision = store.undo(1, "ann", revision)
    assert [one.verdict for one in outcomes(store)] == [Verdict.UNSURE]
    revision = store.undo(1, "ann", revision)
    assert [one.verdict for one in outcomes(store)] == [Verdict.REJECT]
    store.undo(1, "ann", revision)
    assert list(outcomes(store)) == []


def test_planted_labels_have_no_outcome_and_second_reviews_and_audits_belong_to_their_label(tmp_path):
    store = filled(str(tmp_path), count=20, settings=TWICE, people="ann bob")
    for person in ("ann", "bob", "aud"):
        while (task := next_task(store, person)) is not None:
            review(store, task, person)
    found = list(outcomes(store))
    assert len(found) == 20
    assert not any(one.clip_id.startswith("known") for one in found)
    assert {one.kind for one in found} == {Kind.AUDIT}
    assert {one.agreed for one in found} == {True}
    assert {one.reviewers[0] for one in found} == {"aud"}
    assert {tuple(sorted(one.reviewers)) for one in found} == {("ann", "aud", "bob")}
    store.close()


def test_only_the_last_content_of_a_moment_counts(store):
    for one in tasks(store).values():
        review(store, one.task, "ann")
    moment = next(iter(outcomes(store)))
    changed = follows("Slow down behind the lead vehicle.")
    add_labels(store, [LabelRow(moment.clip_id, moment.t_us, changed)])
    assert len(list(outcomes(store))) == 5
    enlarge(store, PLAIN)
    (task,) = (one.task for one in tasks(store, phase=Phase.WAITING).values())
    review(store, task, "ann", REJECT)
    again = next(iter(outcomes(store)))
    assert (again.label, again.verdict, again.wave) == (changed, Verdict.REJECT, 2)


def test_pages_of_labels_join_up(store, monkeypatch):
    for one in tasks(store).values():
        review(store, one.task, "ann", UNSURE)
    whole = list(outcomes(store))
    for size in (1, 2, 3, 6, 7):
        monkeypatch.setattr(module, "LABELS_AT_ONCE", size)
        assert list(outcomes(store)) == whole


@pytest.mark.parametrize(
    ("first", "second", "audit", "verdict", "agreed", "accepted"),
    [
        (ACCEPT, None, None, Verdict.ACCEPT, None, True),
        (ACCEPT, ACCEPT, None, Verdict.ACCEPT, True, True),
        (ACCEPT, REWORDED, None, Verdict.ACCEPT, True, True),
        (ACCEPT, STOPS, None, Verdict.ACCEPT, False, False),
        (ACCEPT, REJECT, None, Verdict.ACCEPT, False, False),
        (REJECT, ACCEPT, None, Verdict.REJECT, False, False),
        (REJECT, REJECT, None, Verdict.REJECT, True, False),
        (UNSURE, REJECT, None, Verdict.UNSURE, False, False),
        (REJECT, ACCEPT, ACCEPT, Verdict.ACCEPT, False, True),
        (ACCEPT, ACCEPT, UNSURE, Verdict.UNSURE, False, False),
        (ACCEPT, None, STOPS, Verdict.EDIT, False, True),
        (None, STOPS, None, Verdict.EDIT, None, True),
    ],
)
def test_whose_word_counts(first, second, audit, verdict, agreed, accepted):
    given = [(Kind.SECOND, second), (Kind.AUDIT, audit), (Kind.FIRST, first)]
    found = outcome(*((kind, judgement) for kind, judgement in given if judgement is not None))
    assert (found.verdict, found.agreed, found.accepted) == (verdict, agreed, accepted)


@given(st.lists(st.sampled_from([ACCEPT, STOPS, REWORDED, REJECT, UNSURE]), min_size=1, max_size=3), st.booleans())
@settings(max_examples=100)
def test_what_is_accepted_was_kept_and_what_was_kept_is_a_label(judgements, with_lane):
    kinds = (Kind.FIRST, Kind.SECOND, Kind.AUDIT)
    found = outcome(*zip(kinds, judgements, strict=False), label=turns() if with_lane else follows())
    assert found.kept == (found.result is not None)
    assert found.kept or not found.accepted
    assert (found.agreed is None) == (len(judgements) == 1)
    assert found.kept == (found.accepted or (found.kept and found.disputed))
