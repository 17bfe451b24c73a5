import base64
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from builders.agreed import decision, write_run
from builders.coc import coc
from builders.pages import Page
from builders.predicted import arc, scene_line, write_lines

HOSTILE = "Stop for \x1b[31m<script>alert(1)</script> [bold]the light[/bold]."


def lines(*speeds):
    texts = [HOSTILE, "Turn left at the junction.", "Keep the lane and drive on."]
    return [
        scene_line([arc(speed), arc(speed, -0.01), arc(speed, 0.08)], arc(10.0), texts, clip_id=f"clip{n}")
        for n, speed in enumerate(speeds)
    ]


@pytest.fixture
def predicted(tmp_path) -> Path:
    return write_lines(tmp_path / "first" / "predictions.jsonl", lines(9.0, 11.0, 12.0))


def test_one_model_is_measured_and_written_beside_its_predictions(predicted):
    answer = coc("evaluate", predicted)
    assert answer.code == 0, answer.err
    for part in (
        "first: 3 scenes done",
        "minADE at 3 s",
        "off path",
        "consistent, of those that can be told",
        "pace: keeps its speed",
    ):
        assert part in answer.out
    folder = predicted.parent / "evaluation"
    found = json.loads((folder / "evaluation.json").read_text())
    (own,) = found["evaluations"]
    assert (own["scenes"], own["clips"], own["models"]) == (3, 3, ["made-up none"])
    assert own["shapes"] == [{"sets": 1, "samples": 3, "steps": 64, "scenes": 3}]
    assert own["total"]["min_ade"]["ci95_low"] < own["total"]["min_ade"]["value"]
    assert found["settings"]["corridor_half_width_m"] == 1.75
    table = pq.read_table(folder / "per_scene.parquet")
    assert table.num_rows == 3
    assert table.column("fit").to_pylist()[0][1] == "contradicted"
    assert table.column("corner_distance").null_count == 0
    assert table.column("longitudinal_agrees").null_count == 3


def test_models_and_labels_stand_side_by_side(predicted, tmp_path):
    second = write_lines(tmp_path / "second" / "predictions.jsonl", lines(9.5, 10.5))
    run = write_run(tmp_path / "run", {(f"clip{n}", 5_100_000): decision("stop", "turn", "left") for n in range(2)})
    answer = coc("evaluate", predicted.parent, second, "--labels", run, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    for part in (
        "second minus first, 2 scenes of 2 clips",
        "better",
        "decision on the lane: turn left",
        "Cohen's kappa",
    ):
        assert part in answer.out
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["comparisons"][0]["only_base"] == 1
    assert found["evaluations"][0]["labelled_scenes"] == 2
    assert found["evaluations"][0]["agreement"]["lateral with direction"]["raw_agreement"]["n"] == 4, (
        "one of three cannot be read"
    )
    assert (
        pq.read_table(tmp_path / "out" / "per_scene.parquet").column("predictions").to_pylist()
        == ["first"] * 3 + ["second"] * 2
    )


def test_the_page_stands_alone_and_escapes_what_models_say(predicted, tmp_path):
    assert coc("evaluate", predicted, "--out", tmp_path / "out").code == 0
    content = (tmp_path / "out" / "evaluation.html").read_text()
    page = Page(content)
    assert "script" not in page.tags
    assert page.handlers == []
    assert page.policy.startswith("default-src 'none'")
    assert all(link.startswith(("data:", "#")) or link == "contradictions.html" for link in page.links)
    assert "<script>alert(1)</script> [bold]the light[/bold]." in page.said
    assert "it says left, but ego steers only to the right" in page.said
    assert len(page.figures) >= 5
    assert "decision on the lane is the label" not in page.said, "there are no labels"
    assert all(base64.b64decode(uri.split(",", 1)[1]).startswith(b"<svg") for uri in page.figures)


def test_contradictions_have_a_file_and_a_page_with_pictures(predicted, tmp_path):
    picture = predicted.parent / "pictures" / "clip0" / "5100000.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(picture)
    line = scene_line([arc(10.0, -0.02)] * 2, arc(), ["Turn left at the junction.", HOSTILE], clip_id="clip0")
    write_lines(predicted, [line, line | {"clip_id": "clip1"}])
    assert coc("evaluate", predicted).code == 0
    folder = predicted.parent / "evaluation"
    rows = [json.loads(line) for line in (folder / "contradictions.jsonl").read_text().splitlines()]
    assert {row["clip_id"]: row["picture"] for row in rows} == {"clip0": str(picture), "clip1": None}
    page = Page((folder / "contradictions.html").read_text())
    assert "<script>alert(1)</script> [bold]the light[/bold]." in page.said
    assert "script" not in page.tags
    assert "turn left: 2 scenes" in page.said
    assert page.policy.startswith("default-src 'none'")
    assert sum(link.startswith("data:image/jpeg") for link in page.links) == 1
    assert all(link.startswith(("data:", "#")) or link == "evaluation.html" for link in page.links)


def test_checkpoints_are_told_by_step(tmp_path):
    speeds = {"step_000900": (9.6, 10.1, 10.2), "step_000100": (12.0, 12.5, 13.0)}
    for name, own in speeds.items():
        write_lines(tmp_path / name / "predictions.jsonl", lines(*own))
    answer = coc("evaluate", *(tmp_path / name for name in speeds), "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "step_000100 minus step_000900, by group" in answer.out
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [own["step"] for own in found["evaluations"]] == [900, 100]
    (pace,) = [group for group in found["comparisons"][0]["by_scenario"] if group["kind"] == "pace"]
    assert (pace["name"], pace["scenes"], pace["measures"]["ade"]["verdict"]) == ("keeps its speed", 3, "worse")
    said = Page((tmp_path / "out" / "evaluation.html").read_text()).said
    rows = said[said.index("Over checkpoints By the step") :]
    assert rows.index("step_000100 100 3") < rows.index("step_000900 900 3")
    assert "Furthest behind step_000900 · step_000100" in said


def test_models_without_steps_are_told_in_the_order_given(tmp_path):
    paths = [write_lines(tmp_path / name / "predictions.jsonl", lines(9.0 + n)) for n, name in enumerate("abc")]
    assert coc("evaluate", *paths[:2], "--out", tmp_path / "two").code == 0
    assert "Over checkpoints" not in (tmp_path / "two" / "evaluation.html").read_text()
    assert coc("evaluate", *paths, "--out", tmp_path / "three").code == 0
    assert "In the order given" in (tmp_path / "three" / "evaluation.html").read_text()


def test_bad_lines_are_named_and_the_exit_code_tells(predicted):
    with predicted.open("a") as file:
        file.write('{"schema_version": 1, "clip_id": "\\u001b[31mx"}\n')
    answer = coc("evaluate", predicted)
    assert answer.code == 1
    assert "3 scenes done" in answer.out
    assert f"{predicted}, line 4: t0_us: Field required" in answer.err
    assert "\x1b" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.jsonl",), "no such file"),
        (("{first}", "{first}"), "named twice"),
        (("{first}", "--labels", "nowhere"), "no such folder"),
    ],
)
def test_what_cannot_be_evaluated_ends_with_2(predicted, arguments, message):
    answer = coc("evaluate", *(text.format(first=predicted) for text in arguments))
    assert (answer.code, "error:" in answer.err) == (2, True)
    assert message in answer.err


def test_labels_of_other_moments_are_said_to_be_so(predicted, tmp_path):
    run = write_run(tmp_path / "run", {("elsewhere", 5_100_000): decision("stop")})
    answer = coc("evaluate", predicted, "--labels", run)
    assert (answer.code, "no label within 0.5 s of any scene" in answer.err) == (0, True)


def test_missing_shards_and_different_numbers_of_samples_are_told(predicted):
    predicted.rename(predicted.with_name("predictions.shard-1-of-3.jsonl"))
    write_lines(predicted.with_name("predictions.shard-2-of-3.jsonl"), [scene_line([arc()], arc(), clip_id="another")])
    answer = coc("evaluate", predicted.parent)
    assert answer.code == 0, answer.err
    assert "4 scenes done" in answer.out
    assert "note: first: shards 0/3 are missing (1 of 3)." in answer.err
    assert "different numbers of samples" in answer.err
