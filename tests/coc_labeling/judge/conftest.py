from collections.abc import Callable

import pytest

from builders.judges import JudgeCommand, ScriptedJudge, label_and_judge
from coc_labeling.judge import controls
from coc_labeling.planting import Error
from coc_labeling.schema import CoCLabel, Component, Longitudinal


@pytest.fixture
def judged(model, server) -> JudgeCommand:
    """Six labels of three clips that cite a white van, and a judge that knows it."""
    return label_and_judge(model, server)


@pytest.fixture
def planting(monkeypatch) -> Callable[[Error], None]:
    """Have one error planted into every label, in a way that a scripted judge sees."""

    def plant_only(error: Error) -> None:
        monkeypatch.setattr(controls, "plant", lambda label, wanted, known: _wrong(label) if wanted is error else None)

    return plant_only


def _wrong(label: CoCLabel) -> CoCLabel:
    phantom = Component(id="c1", category="critical_object", relation="lead", description="purple tram")
    return label.model_copy(
        update={
            "components": (phantom,),
            "longitudinal": Longitudinal(decision="stop", cause_ids=("c1",)),
            "effect_on_ego_behavior": f"Stop behind the purple tram, not as in: {label.effect_on_ego_behavior[-12:]}",
        }
    )


@pytest.fixture
def judge(server) -> ScriptedJudge:
    """The judge that answers."""
    assert isinstance(server.answer, ScriptedJudge)
    return server.answer
