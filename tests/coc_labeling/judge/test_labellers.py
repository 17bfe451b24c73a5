import pytest

from coc_labeling.judge.labellers import Model, own_judge

SAME = [
    (Model("gpt5.5", "gpt-5.5"), Model("gpt5.5", "azure/openai/gpt-5.5-2")),
    (Model("gpt5.5"), Model("gpt5.5", "gpt-5.5")),
    (Model("qwen3.5_35b", "Qwen/Qwen3.5-35B-A3B"), Model("openai_compatible", "qwen3.5-35b-a3b")),
    (Model("openai_compatible", "a/model"), Model("openai_compatible", "b/Model")),
    (Model("openai_compatible"), Model("openai_compatible", "model")),
]
OTHER = [
    (Model("gpt5.5", "gpt-5.5"), Model("gpt5", "gpt-5")),
    (Model("gpt5.5", "gpt-5.5"), Model("rules")),
    (Model("openai_compatible", "one"), Model("openai_compatible", "two")),
    (Model("gpt5"), Model("qwen3.5_35b")),
]


@pytest.mark.parametrize(("judge", "labeller"), SAME)
def test_one_model_under_two_names_is_known(judge, labeller):
    assert judge.is_same(labeller)
    assert labeller.is_same(judge)
    assert own_judge(judge, [Model("rules"), labeller]) == labeller


@pytest.mark.parametrize(("judge", "labeller"), OTHER)
def test_two_models_are_two(judge, labeller):
    assert not judge.is_same(labeller)
    assert not labeller.is_same(judge)
    assert own_judge(judge, [labeller]) is None
