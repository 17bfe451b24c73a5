"""Reviews: labels of made-up clips in a queue, and people who work on it."""

from collections.abc import Iterable

from coc_labeling.planting import Known
from coc_labeling.review.batches.intake import KnownLabel, LabelRow, add_labels, add_planted
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import enlarge
from coc_labeling.review.judgements import HistoryAnswer, Judgement, Verdict
from coc_labeling.review.phases import Phase
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import Category, CoCLabel, Component, Lateral, Longitudinal, Relation

PLAIN = QueueSettings(batch_size=10, second_share=0, audit_share=0, planted_share=0, blank_share=0)
ACCEPT, UNSURE = Judgement(verdict=Verdict.ACCEPT), Judgement(verdict=Verdict.UNSURE)


def follows(words: str = "Keep distance to the lead vehicle.") -> CoCLabel:
    """A label with one component."""
    lead = Component(id="c1", category=Category.CRITICAL_OBJECT, relation=Relation.LEAD, description="the lead vehicle")
    speed = Longitudinal(decision="follow_lead", cause_ids=("c1",))
    return CoCLabel(longitudinal=speed, components=(lead,), effect_on_ego_behavior=words)


def turns() -> CoCLabel:
    """A label without components."""
    return CoCLabel(
        lateral=Lateral(decision="turn", direction="left", cause_ids=("unobserved",)),
        effect_on_ego_behavior="Turn left.",
    )


def rows(count: int, *, per_clip: int = 1) -> Iterable[LabelRow]:
    """Labels 1 s apart within their clips, their risk falling from 1."""
    for number in range(count):
        label = turns() if number % 3 == 0 else follows()
        clip, place = divmod(number, per_clip)
        status = ("low", "medium", "high")[number % 3]
        yield LabelRow(f"clip{clip:05d}", 5_000_000 + place * 1_000_000, label, "model", 1 - number / count, status)


def filled(
    run_dir: str, count: int = 20, settings: QueueSettings = PLAIN, people: str = "ann", per_clip: int = 1
) -> ReviewStore:
    """Reviews of labels in batches, for reviewers named in a text, and the auditor aud."""
    store = ReviewStore.of_run(run_dir)
    for name in people.split():
        store.add_person(name, Role.REVIEWER)
    store.add_person("aud", Role.AUDITOR)
    add_labels(store, rows(count, per_clip=per_clip))
    if settings.planted_share:
        known = Known(stands=False, has_lead=False)
        add_planted(store, [KnownLabel(f"known{n:02d}", 9_000_000, turns(), known) for n in range(20)])
    enlarge(store, settings)
    return store


def answer_for(store: ReviewStore, task: int, reviewer: str) -> HistoryAnswer:
    """An answer that confirms all that is shown."""
    return HistoryAnswer(confirmed=tuple(c.id for c in store.view(task, reviewer).components))


def unlock(store: ReviewStore, task: int, reviewer: str) -> int:
    """Bring a task to its second phase by the way that is open; return its revision."""
    view = store.view(task, reviewer)
    revision = view.state.revision
    if view.state.future_unlocked:
        return revision
    if not view.history_open:
        return store.skip_history(task, reviewer, revision)
    if view.state.phase is Phase.WAITING:
        revision = store.open(task, reviewer, revision)
    return store.finish_history(task, reviewer, revision, answer_for(store, task, reviewer))


def review(store: ReviewStore, task: int, reviewer: str, judgement: Judgement = ACCEPT) -> int:
    """Bring a task to its end; return its revision."""
    return store.judge(task, reviewer, unlock(store, task, reviewer), judgement)
