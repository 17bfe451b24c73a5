import json

import pyarrow.parquet as pq
import pytest

from builders.commands import autolabel, contents
from builders.driving import drive, lively_drive, uuid_like
from builders.odd_datasets import DyingDataset
from builders.pai import ego_parquet, obstacle_columns, parquet, write_chunk
from builders.runs import only_run, rows_of, write_dataset, write_keyframes
from coc_labeling.curate import run as module
from coc_labeling.curate.choosing import Choice
from coc_labeling.curate.rules import KEEP_RATES, Mask, Scene
from coc_labeling.curate.run import CurationRequest, curate
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import read_keyframes
from driving_clips.datasets import DATASETS
from driving_clips.errors import DatasetError
from meta_action.errors import MetaActionError

ALL = dict.fromkeys(Scene, 1.0)


def ask(inputs, out, **settings):
    settings.setdefault("meta_action_dir", str(inputs.meta_action_dir))
    return CurationRequest(
        "table", str(inputs.data_dir), str(out), num_workers=settings.pop("num_workers", 1), **settings
    )


def written(out):
    """Return the files without what depends on when and where they were made."""
    found = {name: content for name, content in contents(out).items() if name != "curate_summary.json"}
    assert not [name for name in found if name.endswith(".tmp")]
    return found


def moments(out):
    return pq.read_table(out / "moments.parquet").to_pylist()


def test_all_is_kept_where_nothing_speaks_against_it(inputs, tmp_path):
    run = curate(ask(inputs, tmp_path, choice=Choice(ALL)))
    assert (tmp_path / "keyframes.json").read_bytes() == inputs.keyframes.read_bytes()
    assert (tmp_path / "clips.txt").read_text().split() == [f"clip_{n}" for n in range(4)]
    total = run.counts["moments"]
    assert total["there"] == total["kept"] == len(read_keyframes(str(inputs.keyframes)))


def test_what_is_kept_can_be_labelled(inputs, tmp_path):
    run = curate(ask(inputs, tmp_path / "chosen", choice=Choice(budget=7)))
    keyframes = read_keyframes(run.path("keyframes.json"))
    assert len(keyframes) == 7
    out = tmp_path / "experiments"
    assert inputs.label(out, data__segment_config_path=run.path("keyframes.json")) == 0
    assert {(row["clip_id"], row["event_start_timestamp"]) for row in rows_of(only_run(out))} == {
        (own.clip_id, own.t_us) for own in keyframes
    }
    listed = (tmp_path / "chosen" / "clips.txt").read_text().split()
    assert listed == sorted({own.clip_id for own in keyframes})
    assert autolabel(inputs.data_dir, tmp_path / "again", "--scene_list", tmp_path / "chosen" / "clips.txt") == 0
    assert len(list((tmp_path / "again" / "final_outputs").glob("*.txt"))) == len(listed)


def test_the_same_seed_gives_the_same_files_however_many_work(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOMENTS_PER_WORKER", 1)
    for name, workers, seed in (("a", 1, 4), ("b", 2, 4), ("c", 1, 5)):
        curate(ask(inputs, tmp_path / name, choice=Choice(budget=7, seed=seed), num_workers=workers))
    assert written(tmp_path / "a") == written(tmp_path / "b")
    assert (tmp_path / "a" / "keyframes.json").read_bytes() != (tmp_path / "c" / "keyframes.json").read_bytes()


def test_a_second_call_replaces_the_lists(inputs, tmp_path):
    curate(ask(inputs, tmp_path, choice=Choice(ALL)))
    curate(ask(inputs, tmp_path, choice=Choice(budget=3)))
    assert len(read_keyframes(str(tmp_path / "keyframes.json"))) == 3


def test_the_table_and_the_summary_say_what_became_of_each(inputs, tmp_path):
    run = curate(ask(inputs, tmp_path, choice=Choice({**KEEP_RATES, Scene.UNKNOWN: 0.5}, 6)))
    rows = moments(tmp_path)
    summary = json.loads((tmp_path / "curate_summary.json").read_text())
    fates = [row["fate"] for row in rows]
    for fate in ("kept", "thinned", "over_budget", "masked", "unreadable"):
        assert summary["moments"][fate] == fates.count(fate)
    for part in ("scenes", "decisions", "countries", "day_parts"):
        for column in ("there", "kept", "thinned", "over_budget"):
            assert sum(own[column] for own in summary[part].values()) == summary["moments"][column], (part, column)
    assert fates.count("kept") == 6
    assert fates.count("thinned") > 0
    assert summary["thresholds"]["near_m"] == 50.0
    assert summary["config"]["choice"] == {"keep_rates": {**KEEP_RATES, "unknown": 0.5}, "budget": 6, "seed": 0}
    assert summary["counts"] == {"done": 4, "rejected": 0, "failed": 0}
    assert run.counts["without_tracks"] == sum(row["road_users"] is None for row in rows) > 0
    told = (tmp_path / "curate_summary.txt").read_text()
    assert f"{len(rows)} moments of 4 clips; kept 6 of" in told


def test_only_scenes_and_clips_asked_for(inputs, tmp_path):
    (tmp_path / "list.txt").write_text("clip_0\n\nclip_2\nnone\n")
    run = curate(ask(inputs, tmp_path / "out", scene_list=str(tmp_path / "list.txt"), choice=Choice(ALL)))
    assert {row["clip_id"] for row in moments(tmp_path / "out")} == {"clip_0", "clip_2"}
    assert "blank lines" in run.notices[0]
    assert run.notices[1].endswith("1 clips have no keyframe, such as none")


@pytest.fixture
def faulty(tmp_path):
    """Clips without a fault, with a jump, cut short, and one that is listed but not there."""
    data = write_dataset(tmp_path / "data", 1)
    text = (data / "clip_0.csv").read_text().splitlines()
    moved = [line.split(",") for line in text[100:]]
    jump = text[:100] + [",".join([row[0], str(float(row[1]) + 5), *row[2:]]) for row in moved]
    (data / "jump.csv").write_text("\n".join(jump) + "\n")
    (data / "short.csv").write_text("\n".join(text[:8]) + "\n")
    (data / "broken.csv").write_text("timestamp_us,x\n0,1\n")
    clips = ("clip_0", "jump", "short", "broken", "gone")
    listed = write_keyframes(tmp_path / "k.json", {"stop": [(clip, f) for clip in clips for f in (20, 100, 300)]})
    return CurationRequest(
        "table", str(data), str(tmp_path / "out"), keyframes=str(listed), choice=Choice(ALL), num_workers=1
    )


def test_nothing_is_lost_without_a_word(faulty, tmp_path):
    run = curate(faulty)
    fates = {(row["clip_id"], row["event_start_frame"]): row["fate"] for row in moments(tmp_path / "out")}
    assert [own for own, fate in fates.items() if fate == "kept"] == [("clip_0", 20), ("clip_0", 100), ("jump", 20)]
    assert [own for own, fate in fates.items() if fate == "masked"] == [("jump", 100)]
    assert run.counts["masked_for"] == {"localisation_jump": 1}
    assert run.counts["unreadable_for"]["no_ego_motion"] == 2
    assert run.counts["unreadable_for"]["too_short"] == run.counts["unreadable_for"]["unknown_clip"] == 3
    assert sum(run.counts["unreadable_for"].values()) == 11
    assert (run.tally.count("done"), run.tally.count("rejected"), run.tally.count("failed")) == (2, 1, 2)
    assert run.tally.exit_code(strict=False) == 1


def test_a_fault_may_be_allowed(faulty, tmp_path):
    run = curate(CurationRequest(**{**vars(faulty), "allowed": frozenset({Mask.JUMP})}))
    assert run.counts["moments"]["masked"] == 0
    assert run.counts["masked_for"] == {"localisation_jump": 1}
    assert ("jump", 100) in {(k.clip_id, k.frame) for k in read_keyframes(run.path("keyframes.json"))}


def test_nothing_left_is_said(faulty):
    run = curate(CurationRequest(**{**vars(faulty), "choice": Choice(dict.fromkeys(Scene, 0.0))}))
    assert run.notices == ["nothing is kept: the lists are empty, see the table for why"]
    assert read_keyframes(run.path("keyframes.json")) == []


def test_a_process_that_dies_costs_its_clip_only(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "dying", DyingDataset)
    monkeypatch.setattr(module, "MOMENTS_PER_WORKER", 1)
    monkeypatch.setattr(module, "useful_workers", lambda *_: 2)
    data = write_dataset(tmp_path / "data", 2)
    (data / "deadly.csv").write_bytes((data / "clip_0.csv").read_bytes())
    listed = write_keyframes(tmp_path / "k.json", {"stop": [(c, 40) for c in ("clip_0", "clip_1", "deadly")]})
    request = CurationRequest("dying", str(data), str(tmp_path / "out"), keyframes=str(listed), choice=Choice(ALL))
    run = curate(request)
    assert run.counts["unreadable_for"] == {"worker_died": 1}
    assert run.counts["moments"]["kept"] == 2


def test_conditions_of_the_physical_ai_layout_balance_a_budget(tmp_path):
    import pyarrow as pa

    clips = [uuid_like(n) for n in range(12)]
    write_chunk(tmp_path, {clip: ego_parquet(lively_drive(0)) for clip in clips})
    d = drive()
    boxes = parquet(obstacle_columns(d.t_us, [(12.0, 0.0, 0.8)] * len(d), [0.0] * len(d)))
    write_chunk(tmp_path, dict.fromkeys(clips, boxes), feature="obstacle.offline")
    (tmp_path / "metadata").mkdir()
    countries, hours = ["Germany"] * 10 + ["Japan", "Japan"], [12] * 12
    table = pa.table({"clip_id": clips, "country": countries, "hour_of_day": hours})
    pq.write_table(table, tmp_path / "metadata" / "data_collection.parquet")
    listed = write_keyframes(tmp_path / "k.json", {"go_straight": [(clip, 100) for clip in clips]})
    request = CurationRequest(
        "pai", str(tmp_path), str(tmp_path / "out"), keyframes=str(listed), choice=Choice(ALL, 4), num_workers=1
    )
    counts = curate(request).counts
    assert {country: own["kept"] for country, own in counts["countries"].items()} == {"Germany": 2, "Japan": 2}
    assert list(counts["day_parts"]) == ["midday"]
    assert counts["without_tracks"] == 0
    assert counts["scenes"]["sparse"]["there"] + counts["scenes"]["rare"]["there"] == 12


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"num_workers": 0}, CocLabelingError, "--num_workers 0: expected at least 1"),
        ({"meta_action_dir": None}, CocLabelingError, "--meta_action_dir: required"),
        ({"meta_action_dir": "/none"}, MetaActionError, "/none: no such folder"),
        ({"keyframes": "/none.json"}, CocLabelingError, "/none.json: no such keyframe file"),
        ({"data_dir": "/none"}, DatasetError, "/none: no such folder"),
        ({"dataset_name": "none"}, DatasetError, "none"),
        ({"scene_list": "/none.txt"}, DatasetError, "/none.txt: expected a text file"),
    ],
)
def test_what_cannot_be_done_is_refused(inputs, tmp_path, changes, error, said):
    request = CurationRequest(**{**vars(ask(inputs, tmp_path / "out")), **changes})
    with pytest.raises(error, match=said):
        curate(request)
    assert not (tmp_path / "out").exists()


def test_no_keyframe_to_choose_from_is_refused(inputs, tmp_path):
    (tmp_path / "list.txt").write_text("somebody_else\n")
    with pytest.raises(CocLabelingError, match=r"no keyframe of the clips in .*list.txt to choose from"):
        curate(ask(inputs, tmp_path / "out", scene_list=str(tmp_path / "list.txt")))


def test_the_list_chosen_from_is_never_overwritten(inputs, tmp_path):
    own = tmp_path / "keyframes.json"
    own.write_bytes(inputs.keyframes.read_bytes())
    with pytest.raises(CocLabelingError, match="would be overwritten"):
        curate(ask(inputs, tmp_path, keyframes=str(own)))
    assert own.read_bytes() == inputs.keyframes.read_bytes()
