"""Scores of held-out moments, and the picture of them."""

import numpy as np
import pytest
from benchmarks.small_world.folder import Truth
from benchmarks.small_world.picture import Shown, chosen, draw
from benchmarks.small_world.scoring import constant_velocity_m, score, summary
from benchmarks.small_world.world import Cause

from alpamayo_r1.evaluation.predictions import Scene

RED = "Stop at the stop line since the traffic light ahead has turned red."
CLEAR = "Accelerate gently since the road ahead is clear."
STEPS = np.arange(1, 65)


def scene_of(driven_x, *predicted_x, said=(RED, CLEAR)):
    history = np.column_stack([np.arange(-15.0, 1.0), np.zeros(16)])
    predicted = np.stack([np.column_stack([x, np.zeros(64)]) for x in predicted_x])[None]
    driven = np.column_stack([driven_x, np.zeros(64)])
    yaw = np.zeros(predicted.shape[:3])
    return Scene("a", 0, "", said, np.ones((1, len(said)), bool), predicted, yaw, history, driven, None, ())


def test_the_best_sample_counts_and_every_sentence_does():
    found = score(scene_of(STEPS * 0.5, STEPS * 0.5 + 1.0, STEPS * 0.5 + 3.0), Truth(Cause.RED_LIGHT, 1, RED))
    assert found.min_ade_m == pytest.approx(1.0)
    assert found.ade_m == pytest.approx(2.0)
    assert found.right == 0.5
    assert found.named is Cause.RED_LIGHT
    assert found.constant_m == pytest.approx(STEPS.mean() * 0.5)


def test_constant_velocity_goes_on_as_the_last_step():
    history = np.array([[-5.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])
    assert constant_velocity_m(history, np.column_stack([2.0 * STEPS, np.zeros(64)])) == 0.0


def test_summary_says_how_many_times_better():
    found = [score(scene_of(STEPS * 0.5, STEPS * 0.5 + 1.0, STEPS * 0.5), Truth(Cause.RED_LIGHT, 1, RED))]
    found += [score(scene_of(STEPS * 0.5, STEPS * 0.5 + 2.0, STEPS * 0.5 + 2.0), Truth(Cause.RED_LIGHT, 1, RED))]
    of = summary(found)
    assert of.scenes == 2
    assert of.min_ade_m == pytest.approx(1.0)
    assert of.times_better == pytest.approx(STEPS.mean() * 0.5)


def test_the_picture_shows_the_first_moments_of_each_cause(tmp_path):
    truth = Truth(Cause.RED_LIGHT, 1, RED)
    scene = scene_of(STEPS * 0.5, STEPS * 0.5 + 1.0, STEPS * 0.6, said=("<b>$x$ & odd", CLEAR))
    scores = [score(scene, truth)] * 5
    assert len(chosen(scores)) == 2
    shown = [Shown(scene, one, np.zeros((128, 256, 3), np.uint8), 1) for one in chosen(scores)]
    draw(tmp_path / "picture.png", shown, scores, {"stage 1": "3 s"})
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
