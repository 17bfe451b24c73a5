from builders.driving import drive
from builders.scenes import window_at
from coc_labeling.agents import create_agent
from coc_labeling.agents.dummy import DummyAgent


def test_the_dummy_says_so_in_every_text():
    label = DummyAgent().label(window_at(drive(), 50))
    assert "dummy" in label.effect_on_ego_behavior
    assert "dummy" in label.trace


def test_the_dummy_says_so_in_the_provenance():
    made_by = DummyAgent().provenance("table", "1")
    assert (made_by.agent, made_by.model) == ("DummyAgent", "dummy")


def test_the_dummy_decides_nothing_and_invents_no_cause():
    label = DummyAgent().label(window_at(drive(), 50))
    assert label.longitudinal is None
    assert label.lateral is None
    assert label.components == ()


def test_the_dummy_is_deterministic():
    assert DummyAgent().label(window_at(drive(), 50)) == create_agent("dummy").label(window_at(drive(), 50))


def test_the_dummy_tells_one_keyframe_from_another():
    assert DummyAgent().label(window_at(drive(), 50)) != DummyAgent().label(window_at(drive(), 51))
