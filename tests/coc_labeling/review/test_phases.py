import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.review.errors import PhaseError
from coc_labeling.review.judgements import HistoryAnswer, Judgement, Verdict
from coc_labeling.review.phases import (
    Extent,
    HistoryDone,
    HistorySkipped,
    Judged,
    Opened,
    Phase,
    Sighting,
    TaskState,
    Undone,
    gives_away,
    state_of,
)
from coc_labeling.review.steps import as_event, as_step

EXTENT = Extent(2_000_000, 6_000_000)
judgements = st.builds(
    Judgement, verdict=st.sampled_from([Verdict.ACCEPT, Verdict.UNSURE]), note=st.text("ab", max_size=3)
)
steps = st.one_of(
    st.sampled_from([Opened(), HistorySkipped(), Undone(), HistoryDone(HistoryAnswer(confirmed=("c1",)))]),
    st.builds(Judged, judgements),
)


@given(st.lists(steps, max_size=30))
def test_whatever_is_tried_the_future_comes_after_the_history_and_never_locks_again(tried):
    state, taken = TaskState(), []
    for step in tried:
        before = state
        with contextlib.suppress(PhaseError):
            state = state.after(step)
            taken.append(step)
            assert state.revision == before.revision + 1
        assert state.future_unlocked >= before.future_unlocked
        assert state.future_unlocked == any(isinstance(one, HistoryDone | HistorySkipped) for one in taken)
        assert (state.phase is Phase.DONE) == (state.judgement is not None)
        assert before.history is None or state.history == before.history
    assert state_of(taken) == state
    assert state_of(as_step(*as_event(step)) for step in taken) == state


@given(st.lists(judgements, min_size=1, max_size=5))
def test_undo_goes_back_one_by_one(made):
    state = state_of([Opened(), HistoryDone(HistoryAnswer())])
    seen = [state.judgement]
    for judgement in made:
        state = state.after(Judged(judgement))
        seen.append(state.judgement)
    while state.phase is Phase.DONE:
        assert state.judgement == seen.pop()
        state = state.after(Undone())
    assert seen == [None]


@pytest.mark.parametrize("step", [Judged(Judgement(verdict="accept")), HistoryDone(HistoryAnswer()), Undone()])
def test_nothing_is_done_before_a_task_is_opened(step):
    with pytest.raises(PhaseError, match="phase waiting"):
        TaskState().after(step)


@given(st.integers(0, 20_000_000), st.integers(0, 20_000_000), st.booleans())
def test_what_gives_a_future_away_is_what_was_seen_of_it(seen_us, t_us, future):
    """Told from the intervals themselves; only a whole window that overlaps before the keyframe counts as well."""
    starts, ends = seen_us - EXTENT.history_us, seen_us + (EXTENT.future_us if future else 0)
    shows_some = starts < t_us + EXTENT.future_us and ends > t_us
    overlaps = starts < t_us + EXTENT.future_us and ends > t_us - EXTENT.history_us
    assert gives_away(Sighting(seen_us, future), t_us, EXTENT) == (overlaps if future else shows_some)
