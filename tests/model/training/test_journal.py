"""What is written of a training while it goes on."""

import json

from alpamayo_r1.training.journal import LOSSES, Journal


def test_lines_and_where_it_stands(tmp_path):
    journal = Journal(tmp_path, step=0)
    assert journal.told(600) == "step 0 of 600: begun"
    journal.write(1, loss=2.0, lr=1e-3)
    journal.write(2, loss=1.5)
    journal.write(2, val_loss=1.75)
    assert journal.told(600).startswith("step 2 of 600: loss 1.5000, validation 1.7500, ")
    assert journal.told(600).endswith(" left")
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / LOSSES).read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 2.0, "lr": 1e-3}, {"step": 2, "loss": 1.5}, {"step": 2, "val_loss": 1.75}]


def test_what_came_after_the_step_it_goes_on_from_is_dropped(tmp_path):
    journal = Journal(tmp_path, step=0)
    for step in (1, 2, 3):
        journal.write(step, loss=float(step))
    journal.close()
    (tmp_path / LOSSES).open("a").write('{"step": 4, "lo')
    journal = Journal(tmp_path, step=2)
    journal.write(3, loss=30.0)
    assert journal.told(3).startswith("step 3 of 3: loss 30.0000")
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / LOSSES).read_text().splitlines()]
    assert [line["loss"] for line in lines] == [1.0, 2.0, 30.0]
