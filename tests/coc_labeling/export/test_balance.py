from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from builders.exports import experiment, exported
from coc_labeling.export.balance import Balance, BalanceBy, decision_of
from coc_labeling.export.rows import ExportRow

ROW = ExportRow("clip", 0, 0, "sft", None, "", "stop", (), "keep_lane", None, (), {}, None, None, 3, {})
DECISIONS = ("stop", "yield", "follow_lead", "track_speed")
labels = st.lists(st.tuples(st.sampled_from(DECISIONS), st.sampled_from(("sft", "rl"))), max_size=60)


def rows_of(found):
    return [replace(ROW, event_start_timestamp=n, longitudinal=d, split=s) for n, (d, s) in enumerate(found)]


@given(labels, st.integers(0, 5))
def test_no_decision_has_more_than_the_median(found, seed):
    rows = rows_of(found)
    balance = Balance(seed, rows)
    kept = Counter((row.split, decision_of(row)) for row in rows if balance.keeps(row))
    before = Counter((row.split, decision_of(row)) for row in rows)
    assert all(n == min(before[key], balance.most[key[0]]) for key, n in kept.items())
    assert kept.keys() == before.keys()


def test_the_seed_decides_and_the_order_does_not():
    rows = rows_of([("stop", "sft")] * 40 + [("yield", "sft")] * 5)
    kept = {seed: [row for row in rows if Balance(seed, rows).keeps(row)] for seed in (0, 1)}
    assert [row for row in rows if Balance(0, rows[::-1]).keeps(row)] == kept[0] != kept[1]


def test_a_lane_decision_counts_before_that_on_speed():
    assert decision_of(replace(ROW, lateral="turn", direction="left")) == "turn left"
    assert decision_of(ROW) == "stop"
    assert decision_of(replace(ROW, longitudinal=None)) == "keep_lane"


def test_what_is_cut_is_counted_and_told(tmp_path):
    run = experiment(tmp_path, [f"clip-{n}" for n in range(6)])
    path = run / "clip-0" / "cot_4000000.yaml"
    path.write_text(path.read_text().replace("nudge_in_lane", "change_lane"))
    result = exported(run, tmp_path / "out", balance=BalanceBy.DECISION)
    assert (result.counts.exported, result.counts.left_out["balance"]) == (2, 9)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| balance | 9 |" in card
    assert "(sft 1)" in card
