import errno
import shutil

import pytest

from builders.commands import summary
from builders.driving import drive
from builders.odd_datasets import DyingDataset
from builders.runs import only_run, records_in, rows_of, write_keyframes
from builders.table import write_csv
from coc_labeling import engine
from coc_labeling.agents import AGENTS
from coc_labeling.agents.base import Agent
from coc_labeling.results import ExperimentFolder
from coc_labeling.run import label_run
from coc_labeling.schema import CoCLabel, abstain
from driving_clips.datasets import DATASETS


@pytest.fixture
def out(tmp_path):
    return tmp_path / "experiments"


@pytest.fixture
def run(inputs, out, tmp_path):
    """Label the given moments; returns the tally."""

    def labelled(*moments: tuple[str, int], **settings):
        path = write_keyframes(tmp_path / "k.json", {"stop": list(moments)})
        return label_run(inputs.config(out, data__segment_config_path=str(path), **settings)).tally

    return labelled


def counts(tally) -> dict[str, int]:
    return {f"{o}: {r}": len(items) for o, reasons in tally.by_reason.items() for r, items in reasons.items() if items}


def use(monkeypatch, label) -> None:
    """Let ``model_name=odd`` label by a function of the window."""
    agent = type(
        "OddAgent", (Agent,), {"model": "odd", "name": "OddAgent", "label": lambda self, window: label(window)}
    )
    monkeypatch.setitem(AGENTS, "odd", agent)


def test_a_keyframe_outside_its_clip_is_rejected_and_no_error(run):
    tally = run(("clip_1", 50), ("clip_1", 201))
    assert counts(tally) == {"done: labelled": 1, "rejected: outside_clip": 1}
    assert tally.exit_code(strict=False) == 0
    assert tally.exit_code(strict=True) == 1


def test_a_rejected_window_is_named_with_its_reason(run, out):
    run(("clip_1", 50), ("clip_1", 250))
    told = summary(only_run(out))
    assert told["ids"]["rejected"] == {"outside_clip": ["clip_1/cot_25000000.yaml"]}
    assert "keyframe 250 (25.0 s) is outside ego motion" in told["messages"]["clip_1/cot_25000000.yaml"]


def test_a_window_of_an_unknown_clip_fails(run, inputs):
    tally = run(("clip_1", 50), ("ghost", 50))
    assert counts(tally) == {"done: labelled": 1, "failed: unknown_clip": 1}
    assert str(inputs.data_dir) in tally.by_reason["failed"]["unknown_clip"]["ghost/cot_5000000.yaml"]
    assert tally.exit_code(strict=False) == 1


def test_when_everything_failed_nothing_could_be_done(run):
    assert run(("ghost", 50)).exit_code(strict=False) == 2


def test_abstentions_count_as_rejected_and_are_kept(run, out, monkeypatch):
    use(monkeypatch, lambda window: abstain("no_decision", "driving backwards"))
    tally = run(("clip_1", 50), model_name="odd")
    assert counts(tally) == {"rejected: abstained_no_decision": 1}
    assert rows_of(only_run(out))[0]["status"] == "abstention"


def test_an_abstention_is_not_asked_again(inputs, run, out, monkeypatch):
    use(monkeypatch, lambda window: abstain("no_decision", "driving backwards"))
    run(("clip_1", 50), model_name="odd")
    use(monkeypatch, lambda window: pytest.fail("asked again"))
    again = run(("clip_1", 50), model_name="odd", resume_exp_dir=str(only_run(out)))
    assert counts(again) == {"rejected: abstained_no_decision": 1}


def test_an_agent_that_crashes_on_a_window_costs_only_that(run, monkeypatch):
    use(monkeypatch, lambda window: 1 / 0 if window.keyframe.frame == 60 else CoCLabel(effect_on_ego_behavior="ok go"))
    tally = run(("clip_1", 50), ("clip_1", 60), ("clip_2", 50), model_name="odd")
    assert counts(tally) == {"done: labelled": 2, "failed: crashed": 1}
    assert (
        tally.by_reason["failed"]["crashed"]["clip_1/cot_6000000.yaml"]
        == "OddAgent: ZeroDivisionError: division by zero"
    )


@pytest.mark.parametrize(
    "error", [RuntimeError("library"), OSError("camera"), AssertionError("no lead"), RecursionError()]
)
def test_whatever_an_agent_raises_the_others_are_labelled(run, monkeypatch, error):
    def label(window):
        if window.keyframe.frame == 60:
            raise error
        return CoCLabel(effect_on_ego_behavior="ok go")

    use(monkeypatch, label)
    assert counts(run(("clip_1", 50), ("clip_1", 60), model_name="odd")) == {
        "done: labelled": 1,
        "failed: crashed": 1,
    }


def test_an_agent_whose_text_cannot_be_written_costs_only_that_window(run, monkeypatch):
    use(
        monkeypatch,
        lambda window: CoCLabel(effect_on_ego_behavior=f"{'ok' if window.keyframe.frame == 50 else chr(0xD83D)} go"),
    )
    tally = run(("clip_1", 50), ("clip_1", 60), model_name="odd")
    assert tally.count("done") == 1
    assert tally.count("failed") == 1


def test_a_failed_window_is_tried_again_on_resume(run, out, monkeypatch):
    use(monkeypatch, lambda window: 1 / 0)
    run(("clip_1", 50), model_name="odd")
    use(monkeypatch, lambda window: CoCLabel(effect_on_ego_behavior="ok go"))
    assert counts(run(("clip_1", 50), model_name="odd", resume_exp_dir=str(only_run(out)))) == {"done: labelled": 1}


def test_a_full_disk_stops_the_run_and_counts_the_rest(run, out, monkeypatch):
    write, written = ExperimentFolder.write, []

    def full(self, record):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(record)
        return write(self, record)

    monkeypatch.setattr(ExperimentFolder, "write", full)
    moments = [(f"clip_{i}", frame) for i in range(4) for frame in (50, 60)]
    tally = run(*moments)
    assert tally.count("done") == 2
    assert tally.count("failed") == 6
    assert set(tally.by_reason["failed"]) <= {"disk_full", "not_reached"}
    assert "not_reached" in tally.by_reason["failed"]
    assert tally.exit_code(strict=False) == 1
    assert len(rows_of(only_run(out))) == 2


def test_after_a_full_disk_the_run_goes_on(inputs, run, out, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ExperimentFolder, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        assert run(("clip_1", 50), ("clip_2", 50)).exit_code(strict=False) == 2
    tally = run(("clip_1", 50), ("clip_2", 50), resume_exp_dir=str(only_run(out)))
    assert counts(tally) == {"done: labelled": 2}


def test_a_record_that_cannot_be_written_for_another_reason_fails_alone(run, monkeypatch):
    write = ExperimentFolder.write

    def refusing(self, record):
        if record.clip_id == "clip_1":
            raise PermissionError(errno.EACCES, "Permission denied")
        return write(self, record)

    monkeypatch.setattr(ExperimentFolder, "write", refusing)
    assert counts(run(("clip_1", 50), ("clip_2", 50))) == {"done: labelled": 1, "failed: unwritable": 1}


@pytest.fixture
def own_data(inputs, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(inputs.data_dir, data)
    return data


def test_a_corrupt_clip_costs_only_its_windows(run, own_data):
    (own_data / "clip_2.csv").write_text("nothing,like\n1,2\n")
    tally = run(("clip_1", 50), ("clip_2", 50), ("clip_2", 60), data__data_dir=str(own_data))
    assert counts(tally) == {"done: labelled": 1, "failed: wrong_schema": 2}


def test_corrupt_obstacles_cost_only_their_clip(run, own_data):
    (own_data / "clip_0.obstacles.parquet").write_bytes(b"torn")
    tally = run(("clip_0", 50), ("clip_1", 50), data__data_dir=str(own_data))
    assert tally.count("done") == 1
    (failed,) = tally.by_reason["failed"].values()
    assert list(failed) == ["clip_0/cot_5000000.yaml"]
    assert "clip_0.obstacles.parquet" in failed["clip_0/cot_5000000.yaml"]


def test_windows_of_a_clip_that_is_too_short_are_rejected(run, own_data):
    write_csv(own_data, "clip_2", drive(0.5))
    assert counts(run(("clip_2", 2), data__data_dir=str(own_data))) == {"rejected: too_short": 1}


def test_clips_that_were_cut_from_a_recording_are_found_again(run, own_data, out):
    write_csv(own_data, "long-1", drive(45.0))
    tally = run(("long-1-20", 50), ("long-1-0", 50), ("long-1-60", 50), data__data_dir=str(own_data))
    assert counts(tally).get("failed: unknown_clip") == 1
    assert tally.count("done") + tally.count("rejected") == 2
    assert all(name.startswith("long-1-") for name in records_in(only_run(out)))


def test_a_worker_that_dies_takes_only_its_clip_along(run, monkeypatch, own_data):
    monkeypatch.setattr(engine, "WINDOWS_PER_WORKER", 1)
    monkeypatch.setitem(DATASETS, "dying", DyingDataset)
    (own_data / "clip_2.csv").rename(own_data / "deadly.csv")
    settings = {"data__data_dir": str(own_data), "data__dataset_name": "dying", "num_workers": 2}
    tally = run(("clip_1", 50), ("deadly", 50), ("clip_3", 50), **settings)
    assert counts(tally) == {"done: labelled": 2, "failed: worker_died": 1}


def test_no_keyframes_are_no_error(run, out):
    assert counts(run()) == {}
    assert (only_run(out) / "labels.parquet").exists()
