import pyarrow as pa

from coc_labeling.report.runs import LabelRun, Run, find_runs
from coc_labeling.report.sample import choose
from coc_labeling.report.tables import Found
from coc_labeling.results import LABELS_SCHEMA


def row(clip_id: str, longitudinal="track_speed", lateral="keep_lane", direction=None, cause="unobserved", reason=None):
    return {
        "clip_id": clip_id,
        "event_start_timestamp": 0,
        "status": "abstention" if reason else "label",
        "abstention_reason": reason,
        "longitudinal": None if reason else longitudinal,
        "lateral": None if reason else lateral,
        "direction": direction,
        "longitudinal_causes": [] if reason else [cause],
        "lateral_causes": [] if reason else ["unobserved"],
    }


def run(rows: list[dict], name: str = "run") -> Run:
    table = pa.Table.from_pylist(rows, LABELS_SCHEMA)
    return Run(name, name, "", None, None, LabelRun(name, (), Found((), table)), ())


def chosen(runs, sample) -> list[tuple[int, str]]:
    return [(c.run, c.clip_id) for c in choose(runs, sample)]


COMMON = [row(f"common-{i}") for i in range(500)]
RARE = [
    row("stop", "stop"),
    row("left", lateral="turn", direction="left"),
    row("right", lateral="turn", direction="right"),
    row("lead", "follow_lead", cause="critical_object:lead"),
    row("none", reason="no_decision"),
]


def test_rare_decisions_directions_causes_and_abstentions_come_first():
    names = {clip_id for _, clip_id in chosen([run(COMMON + RARE)], 6)}
    assert {"stop", "left", "right", "lead", "none"} < names


def test_is_the_same_every_time():
    assert chosen([run(COMMON + RARE)], 12) == chosen([run(COMMON + RARE)], 12)


def test_every_run_is_shown():
    runs = [run(COMMON + RARE), run([row("only")], "small"), run([row("other")], "smaller")]
    assert {number for number, _ in chosen(runs, 3)} == {0, 1, 2}
    assert {number for number, _ in chosen(runs, 1)} == {0, 1, 2}


def test_none_are_wanted_or_there():
    assert chosen([run(COMMON)], 0) == []
    assert chosen([run([])], 12) == []
    assert len(chosen([run(RARE)], 12)) == 5


def test_runs_of_step_1_vary_in_meta_actions(comma):
    first = chosen(find_runs([str(comma.meta_actions)]), 2)
    assert len(first) == 2
    assert first == chosen(find_runs([str(comma.meta_actions)]), 2)
