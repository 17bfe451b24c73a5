from builders.reviews import ACCEPT, UNSURE, filled, review, unlock
from coc_labeling.review.auditing import audited
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import next_task
from coc_labeling.review.judgements import Judgement, Reason, Verdict

SETTINGS = QueueSettings(second_share=0, audit_share=1, planted_share=0, blank_share=0)
REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.EMPTY)


def test_an_auditor_sees_what_they_audit_once_they_have_judged(tmp_path):
    store = filled(str(tmp_path), count=4, settings=SETTINGS)
    first = next_task(store, "ann")
    done = review(store, first, "ann", REJECT)
    task = next_task(store, "aud")
    assert audited(store, task, "aud") is None
    unlock(store, task, "aud")
    assert audited(store, task, "aud") is None
    revision = review(store, task, "aud", ACCEPT)
    assert audited(store, task, "aud") == REJECT
    done = store.judge(first, "ann", done, UNSURE)
    assert audited(store, task, "aud") == UNSURE
    store.undo(first, "ann", store.undo(first, "ann", done))
    assert audited(store, task, "aud") is None
    store.undo(task, "aud", revision)
    assert audited(store, task, "aud") is None


def test_nobody_else_is_told_anything(tmp_path):
    store = filled(str(tmp_path), count=4, settings=SETTINGS)
    first = next_task(store, "ann")
    review(store, first, "ann", REJECT)
    task = next_task(store, "aud")
    review(store, task, "aud")
    for number, name in ((first, "ann"), (first, "aud"), (task, "ann"), (999, "aud")):
        assert audited(store, number, name) is None
