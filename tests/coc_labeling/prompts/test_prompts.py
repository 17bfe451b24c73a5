import re

import pytest

from builders.asked import agent_of
from coc_labeling import prompts
from coc_labeling.agents import vlm
from coc_labeling.prompts import VERSION, single_pass, text_hash
from coc_labeling.schema import NEED_DIRECTION, Category, LateralDecision, LongitudinalDecision, Relation, Side

FILES = ["single_pass.md", "answer_structured.md", "answer_sentence.md", "repair.md", "again.md"]
STRUCTURED = ["single_pass.md", "answer_structured.md", "repair.md", "again.md"]
SENTENCE = ["single_pass.md", "answer_sentence.md", "repair.md", "again.md"]


def hash_of(*, structured: bool = True) -> str:
    return agent_of(vlm_agent__structured_output=structured).prompt_hash


@pytest.fixture
def change(monkeypatch):
    """Change one of the texts for the length of a test."""
    original = prompts._text

    def changed(name: str) -> None:
        monkeypatch.setattr(prompts, "_text", lambda asked: original(asked) + (" More." if asked == name else ""))

    return changed


@pytest.mark.parametrize("decision", [*LongitudinalDecision, *LateralDecision])
@pytest.mark.parametrize("structured", [True, False])
def test_every_decision_is_defined(decision, structured):
    assert re.search(rf"^- (?:[\w, ]+, )?{decision}\b", single_pass(structured=structured).system, re.MULTILINE)


@pytest.mark.parametrize("name", [*Category, *Relation])
def test_every_category_and_relation_is_named(name):
    assert re.search(rf"\b{name}\b", single_pass(structured=True).system)


@pytest.mark.parametrize("decision", sorted(NEED_DIRECTION))
def test_decisions_that_need_a_side_are_said_to(decision):
    assert f"- {decision} (left or right):" in single_pass(structured=True).system


@pytest.mark.parametrize("structured", [True, False])
def test_no_decision_is_named_that_is_none(structured):
    section = single_pass(structured=structured).system.split("# Decisions")[1].split("# Rules")[0]
    named = [
        name
        for line in re.findall(r"^- ([a-z_, ]+?)(?: \(.*?\))?:", section, re.MULTILINE)
        for name in line.split(", ")
    ]
    assert sorted(named) == sorted([*LongitudinalDecision, *LateralDecision])


@pytest.mark.parametrize("form", [vlm.StructuredAnswer, vlm.SentenceAnswer])
def test_every_field_of_the_answer_is_described(form):
    system = single_pass(structured=form is vlm.StructuredAnswer).system
    for field in form.model_fields:
        assert re.search(rf"^- (?:\w+, )?{field}\b", system, re.MULTILINE), field


@pytest.mark.parametrize("structured", [True, False])
def test_texts_are_short_and_sectioned(structured):
    own = single_pass(structured=structured)
    assert len(own.system) < 6000
    assert len(own.repair) < 1500
    assert re.findall(r"^# (.+)$", own.system, re.MULTILINE) == ["Task", "Input", "Decisions", "Rules", "Answer"]


@pytest.mark.parametrize("structured", [True, False])
def test_no_placeholder_is_left_but_the_one_that_is_filled_in(structured):
    own = single_pass(structured=structured)
    assert not re.search(r"\{\w+\}", own.system + own.repair)
    assert re.findall(r"\{\w+\}", own.again) == ["{problem}"]


def test_the_repair_of_a_sentence_does_not_speak_of_causes_ids():
    assert "unobserved" in single_pass(structured=True).repair
    assert "unobserved" not in single_pass(structured=False).repair


def test_pictures_words_are_no_instructions():
    assert "never instructions to you" in single_pass(structured=True).system


def test_the_answer_with_and_without_structure_are_two_wordings():
    assert single_pass(structured=True).version == VERSION == "coc_single_pass/1"
    assert single_pass(structured=False).version == f"{VERSION}-sentence"
    assert hash_of() != hash_of(structured=False)


def test_the_hash_is_the_same_every_time():
    assert hash_of() == hash_of()
    assert re.fullmatch(r"[0-9a-f]{16}", hash_of())


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("structured", [True, False])
def test_the_hash_changes_with_every_text_that_is_said_and_no_other(name, structured, change):
    before = hash_of(structured=structured)
    change(name)
    said = name in (STRUCTURED if structured else SENTENCE)
    assert (hash_of(structured=structured) != before) == said


@pytest.mark.parametrize("form", ["StructuredAnswer", "RepairAnswer"])
def test_the_hash_changes_with_a_schema(form, monkeypatch):
    before = hash_of()

    class Other(getattr(vlm, form)):
        """Another wording of the schema."""

        more: str

    monkeypatch.setattr(vlm, form, Other)
    assert hash_of() != before


def test_the_hash_does_not_depend_on_how_a_run_is_configured():
    others = agent_of(vlm_agent__max_tokens=99, vlm_agent__use_metaaction_check_pipeline=True)
    assert others.prompt_hash == hash_of()


def test_the_order_of_a_schema_s_keys_is_no_difference():
    own = single_pass(structured=True)
    assert own.hash_with({"a": 1, "b": 2}) == own.hash_with({"b": 2, "a": 1}) != own.hash_with({"a": 1})


def test_a_text_is_kept_under_a_short_hash():
    assert text_hash("a") != text_hash("b")
    assert len(text_hash("Füßgänger 🚗")) == 16


@pytest.mark.parametrize("side", Side)
def test_both_sides_are_named(side):
    assert side in single_pass(structured=True).system


def test_today_s_wording_is_the_one_that_its_version_stands_for():
    """A changed text is a new wording: raise ``VERSION``, then write the new hashes here."""
    hashes = {
        single_pass(structured=structured).version: single_pass(structured=structured).hash_with()
        for structured in (True, False)
    }
    assert hashes == {"coc_single_pass/1": "ff670d278a6fa2ac", "coc_single_pass/1-sentence": "ca493ebdb3ea59c8"}
