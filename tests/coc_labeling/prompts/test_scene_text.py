from dataclasses import replace

import numpy as np
import pytest

from builders.asked import agent_of, frames_of, recorded_window
from builders.driving import drive
from builders.scenes import NO_BOXES, ahead_of, boxes, standing_at, together, window_at
from coc_labeling.prompts.scene_text import SCENE_HEADING, scene_text
from coc_labeling.windows import Window

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6


def test_the_lead_and_others_are_told_with_their_numbers():
    slower = boxes("7", CRUISE.x * 0.8 + 60, 0, CRUISE.t_us)
    parked = standing_at(CRUISE, CRUISE.x[100] + 20, -2.6, track_id="8", label="bus")
    text = scene_text(window_at(CRUISE, 100, together(slower, parked)))
    assert text.splitlines() == [
        SCENE_HEADING,
        "- car in ego's path 38 m ahead, 2.0 m/s slower than ego",
        "- bus standing beside ego's path on the right, 20 m ahead",
    ]


def test_what_stands_and_what_crosses():
    crossing = boxes("p", CRUISE.x[100] + 18, 6 - 1.5 * (T - 8), CRUISE.t_us, label="person", size=(0.6, 0.6, 1.7))
    text = scene_text(window_at(CRUISE, 100, together(standing_at(CRUISE, CRUISE.x[100] + 30), crossing)))
    assert "- car in ego's path 30 m ahead, standing" in text
    assert "- pedestrian crossing ego's path from the left, 18 m ahead" in text


def test_nobody_and_nothing_known_are_told_apart():
    aside = boxes("7", CRUISE.x, 60.0, CRUISE.t_us)
    assert "None is tracked within 60 m" in scene_text(window_at(CRUISE, 100, aside))
    for nothing in (None, NO_BOXES):
        assert "Not available" in scene_text(window_at(CRUISE, 100, nothing))


def test_tracks_that_ended_before_tell_nothing_of_now():
    text = scene_text(window_at(CRUISE, 100, ahead_of(CRUISE.rows(np.arange(70)), 20.0)))
    assert "no road user was measured around this moment" in text


def test_what_comes_after_the_keyframe_is_not_told():
    tracks = ahead_of(CRUISE.rows(np.arange(101, 201)), 20.0)
    assert scene_text(window_at(CRUISE, 100, tracks)) == scene_text(window_at(CRUISE, 100, NO_BOXES))


def said(window: Window, agent_name: str, **settings) -> tuple[str, str]:
    agent = agent_of(**{"vlm_agent__agent_name": agent_name, **settings})
    prepared = agent.prepare(window, [frames_of(window)])
    return ("\n".join(part.text for part in parts) for parts in (prepared.parts, prepared.later))


def test_a_single_pass_is_told_only_where_it_is_asked_for():
    window = window_at(CRUISE, 100, ahead_of(CRUISE, 25.0))
    assert SCENE_HEADING not in next(iter(said(window, "VLMCoCAgent")))
    first, _ = said(window, "VLMCoCAgent", vlm_agent__scene_facts=True)
    assert "car in ego's path 25 m ahead" in first


@pytest.mark.parametrize("agent", ["VLMCoCAgent", "TwoStageCoCAgent"])
def test_records_say_that_it_was_told(agent):
    own, told = (agent_of(vlm_agent__agent_name=agent, vlm_agent__scene_facts=on) for on in (False, True))
    assert ("tracks" in own.told_facts, "tracks" in told.told_facts) == (False, True)
    assert (own.needs_tracks, told.needs_tracks) == (False, True)


def test_stage_1_of_two_is_never_told():
    tracks = ahead_of(CRUISE, 25.0)
    own = replace(recorded_window(CRUISE), obstacles=tracks)
    without = list(said(own, "TwoStageCoCAgent"))
    first, later = said(own, "TwoStageCoCAgent", vlm_agent__scene_facts=True)
    assert first == without[0]
    assert SCENE_HEADING in later
    assert SCENE_HEADING not in without[1]
