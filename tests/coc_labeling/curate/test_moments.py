import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.runs import write_keyframes
from coc_labeling.curate.moments import decision_proxies, keyframes_of_file, keyframes_of_run, moments_of, write_chosen
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import Keyframe, Keyframes, read_keyframes
from meta_action.errors import MetaActionError

moment = st.tuples(st.sampled_from(["a", "b.c", "d_e-20"]), st.integers(0, 190))


@st.composite
def lists(draw):
    """Return lists of keyframes, some of them at one moment."""
    found = []
    for action in ("steer_left", "stop", "strong_deceleration"):
        rows = draw(st.lists(moment, unique=True, max_size=8))
        clips = np.array([clip for clip, _ in rows], dtype=np.object_)
        start = np.array([frame for _, frame in rows], dtype=np.int64)
        found.append(Keyframes(action, clips, start, start + 12))
    return found


@given(lists(), st.sets(moment))
def test_what_is_written_is_read_back_and_only_that(tmp_path_factory, found, chosen):
    path = str(tmp_path_factory.mktemp("chosen") / "keyframes.json")
    write_chosen(path, found, chosen)
    expected = [own for own in moments_of(found) if (own.clip_id, own.frame) in chosen]
    assert [(own.clip_id, own.t_us, sorted(own.actions)) for own in read_keyframes(path)] == [
        (own.clip_id, own.t_us, sorted(own.actions)) for own in expected
    ]
    again = keyframes_of_file(path)
    assert moments_of(again) == moments_of(read_lists(found, chosen))


def read_lists(found, chosen):
    rows = [np.array([m in chosen for m in zip(o.clip_id, o.start.tolist(), strict=True)], dtype=bool) for o in found]
    return [Keyframes(o.action, o.clip_id[r], o.start[r], o.end[r]) for o, r in zip(found, rows, strict=True)]


def test_all_chosen_is_the_file_of_step_2_to_the_byte(inputs, tmp_path):
    found = keyframes_of_run(str(inputs.meta_action_dir))
    chosen = {(own.clip_id, own.frame) for own in moments_of(found)}
    write_chosen(str(tmp_path / "k.json"), found, chosen)
    assert (tmp_path / "k.json").read_bytes() == inputs.keyframes.read_bytes()
    write_chosen(str(tmp_path / "again.json"), keyframes_of_file(str(inputs.keyframes)), chosen)
    assert (tmp_path / "again.json").read_bytes() == inputs.keyframes.read_bytes()


def test_entries_of_older_tools_are_taken(tmp_path):
    entry = {"filename": "a", "start": 40, "end": 60, "action": "Wait"}
    (tmp_path / "old.json").write_text(json.dumps({"Wait": [entry, {"clip_id": "b", "event_start_frame": 7.0}]}))
    (own,) = keyframes_of_file(str(tmp_path / "old.json"))
    assert (own.action, own.clip_id.tolist(), own.start.tolist(), own.end.tolist()) == (
        "stop",
        ["a", "b"],
        [40, 7],
        [60, 7],
    )


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ("[]", CocLabelingError, "expected an object"),
        ("{", CocLabelingError, "expected JSON"),
        ('{"stop": [{"clip_id": "../x", "event_start_frame": 3}]}', CocLabelingError, r"stop\[0\]"),
        ('{"stop": [{"clip_id": "x"}]}', CocLabelingError, r"stop\[0\]"),
        ('{"fly": [{"clip_id": "x", "event_start_frame": 3}]}', MetaActionError, "unknown meta-action name: 'fly'"),
    ],
)
def test_files_that_are_no_keyframes_are_refused(tmp_path, content, error, said):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(error, match=said):
        keyframes_of_file(str(path))


def test_a_moment_of_several_actions_is_one_and_the_rarest_stands_for_it(tmp_path):
    path = write_keyframes(tmp_path / "k.json", {"stop": [("a", 40)], "go_straight": [("a", 40), ("a", 60), ("b", 40)]})
    moments = moments_of(keyframes_of_file(str(path)))
    assert moments[0] == Keyframe("a", 4_000_000, ("stop", "go_straight"))
    assert decision_proxies(moments) == ["stop", "go_straight", "go_straight"]
    assert [own.clip_id for own in moments_of(keyframes_of_file(str(path)), {"b"})] == ["b"]
