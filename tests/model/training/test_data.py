"""A training on labels: prepared, split, batched, learnt from, and gone on with."""

import json
import shutil
from multiprocessing import active_children

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accelerate import Accelerator
from typer.testing import CliRunner

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.training.data import prepared_data, validation_drives
from alpamayo_r1.training.run import train
from builders.prepared import tiny_dataset
from coc_toolkit.cli import app
from example import WHOLE_HORIZON
from tiny_model import BASE, PARTS, tiny_model, write_base
from training_runs import QUICK, losses, settings_of

SHORT = ("train.steps=6", "train.batch_size=2", "train.accumulate=1", "train.save_every=1", "train.keep=9")
SHORT += ("data.num_workers=0", "data.val_share=0")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    futures = {**PARTS["traj_tokenizer_cfg"], "action_space_cfg": WHOLE_HORIZON}
    changes = {"action_space_cfg": WHOLE_HORIZON, "traj_tokenizer_cfg": futures, "tokens_per_future_traj": 128}
    tiny_model(write_base(folder / BASE), **changes).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


@pytest.fixture(scope="module")
def pai(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("data") / "pai")


@pytest.fixture
def asked(start, pai, tmp_path):
    """Return settings for the dataset, all of whose trainings share their prepared scenes."""

    def settings(stage: str, out: str, *overrides: str):
        places = (f"data.labels={pai}", f"data.data_dir={pai}", f"data.prepared={tmp_path / 'prepared'}")
        return settings_of(stage, start, tmp_path / out, *places, *SHORT, *overrides)

    return settings


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_goes_on_exactly_within_and_after_an_epoch(asked, tmp_path, stage):
    train(asked(stage, "whole"))
    wanted = losses(tmp_path / "whole")
    assert len(wanted) == 6
    assert all(0 < loss < 100 for loss in wanted.values())
    for step in (2, 3, 4):  # three batches an epoch
        shutil.copytree(tmp_path / "whole", tmp_path / f"from_{step}")
        for later in range(step + 1, 7):
            shutil.rmtree(tmp_path / f"from_{step}" / "checkpoints" / f"step_{later:06d}")
        train(asked(stage, f"from_{step}"))
        assert losses(tmp_path / f"from_{step}") == wanted


def test_workers_change_nothing(asked, tmp_path):
    train(asked("stage1", "none"))
    train(asked("stage1", "two", "data.num_workers=1", "train.steps=2", "train.resume=null"))
    alone = losses(tmp_path / "none")
    assert losses(tmp_path / "two")[1] == alone[1]
    assert not active_children()


@pytest.mark.parametrize("step", [1, 3])
def test_a_damaged_picture_ends_the_training_and_its_workers(asked, tmp_path, step):
    """Also one that goes on: within an epoch of three batches, and after it."""
    train(asked("stage1", "out"))
    for later in range(step + 1, 7):
        shutil.rmtree(tmp_path / "out" / "checkpoints" / f"step_{later:06d}")
    (scenes,) = (tmp_path / "prepared").glob("scenes-*")
    content = scenes.read_bytes()
    scenes.write_bytes(content.replace(b"WEBP", b"WEPB"))
    with pytest.raises(AlpamayoError) as caught:
        train(asked("stage1", "out", "data.num_workers=1"))
    assert str(caught.value).startswith(f"{scenes}: ")
    assert str(caught.value).endswith("prepare again.")
    assert "\n" not in str(caught.value)
    assert not active_children()


def test_what_was_killed_while_it_prepared_goes_on(asked, tmp_path):
    prepared = tmp_path / "out" / "cache" / "prepared"
    prepared.mkdir(parents=True)
    train(asked("stage1", "out", f"data.prepared={prepared}", "train.steps=1"))
    assert (tmp_path / "out" / "model").is_dir()


def test_a_folder_with_something_else_is_left_alone(asked, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letters.txt").write_text("keep me")
    with pytest.raises(AlpamayoError, match=r"out=.*: expected a new folder.*found letters\.txt"):
        train(asked("stage1", "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["letters.txt"]


def test_what_is_not_learnt_from_is_said_each_time(asked, start, pai, tmp_path):
    labels = tmp_path / "labels"
    shutil.copytree(pai / "reasoning", labels / "reasoning")
    path = labels / "reasoning" / "ood_reasoning.parquet"
    table = pq.read_table(path)
    clips = [*table["clip_id"].to_pylist(), "unknown"]
    events = [*table["events"].to_pylist(), table["events"][0].as_py()]
    pq.write_table(pa.table({"clip_id": clips, "events": events}), path)
    settings = asked("stage1", "out", f"data.labels={labels}", "train.steps=1")
    for _ in range(2):
        result = train(settings)
        (notice,) = (one for one in result.notices if "not learnt from" in one)
        assert notice.endswith(f"Each is named in {tmp_path / 'prepared' / 'prepare_summary.json'}")
        assert notice in json.loads((tmp_path / "out" / "run_summary.json").read_text())["notices"]


def test_a_drive_is_kept_for_validation(asked, start):
    settings = asked("stage1", "out", "data.val_share=0.5")
    model = AlpamayoR1.from_pretrained(start)
    data = prepared_data(settings, model, Accelerator())
    assert data.counts == {"train": 3, "validation": 3, "of another split": 0}
    names = [name for batch in data.train.epoch(0) for name in batch["names"]]
    held = [name for batch in data.validation.epoch(0) for name in batch["names"]]
    assert {clip for clip, _ in names}.isdisjoint({clip for clip, _ in held})
    assert len({*names, *held}) == 6


def test_a_split_that_there_is_not(asked, start):
    with pytest.raises(AlpamayoError, match=r"data\.split=sft: expected a split of the labels, which have: None"):
        prepared_data(asked("stage1", "out", "data.split=sft"), AlpamayoR1.from_pretrained(start), Accelerator())


def test_meta_actions_that_no_label_has(asked, start):
    wanted = asked("stage1", "out", "data.components=[image,traj_history,prompt,cot,meta_action,traj_future]")
    with pytest.raises(AlpamayoError, match=r"data\.components=.*: none of 6 labels has a meta_action"):
        prepared_data(wanted, AlpamayoR1.from_pretrained(start), Accelerator())


@pytest.mark.parametrize(("share", "least", "most"), [(0.05, 1, 25), (0.5, 60, 140), (0.9, 150, 199), (0.0, 0, 0)])
def test_about_the_share_of_drives(share, least, most):
    drives = [f"drive_{number}" for number in range(200)]
    kept = validation_drives(drives, share)
    assert least <= len(kept) <= most
    assert validation_drives(reversed(drives), share) == kept
    assert validation_drives(drives[:1], share) == set()
    assert len(validation_drives(drives[:2], share)) == (1 if share else 0)


@pytest.mark.parametrize("seed", range(3))
def test_drives_stay_where_they_are(seed):
    drives = [f"{seed}_{number}" for number in range(100)]
    assert validation_drives(drives, 0.2) <= validation_drives([*drives, *(f"more_{n}" for n in range(100))], 0.2)


def test_the_command(start, pai, tmp_path):
    places = [f"out={tmp_path / 'out'}", f"model.path={start}", f"data.labels={pai}", f"data.data_dir={pai}"]
    shown = CliRunner().invoke(app, ["train", "stage2", *places, *QUICK, *SHORT, "train.steps=2", "vlm_cache_gb=0.1"])
    assert shown.exit_code == 0, shown.output
    assert "2 of 2 steps: finished" in shown.output
    assert (tmp_path / "out" / "prepared").is_dir()
    summary = json.loads((tmp_path / "out" / "run_summary.json").read_text())
    assert summary["scenes"]["train"] == 6
    assert AlpamayoR1.from_pretrained(tmp_path / "out" / "model").config.model_type == "alpamayo_r1"


def test_the_command_names_what_is_wrong(start, tmp_path):
    missing = ["train", "stage2", f"out={tmp_path}", f"model.path={tmp_path / 'gone'}", "data.labels=nothing"]
    shown = CliRunner().invoke(app, missing)
    assert shown.exit_code == 2
    assert "gone: expected a folder with a model's config.json" in " ".join(shown.output.split())
