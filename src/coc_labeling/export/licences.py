"""Whose terms hold for labels: those of the recordings, and those of the model that wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass

from coc_labeling.model_clients.vlm_wrappers.qwen import QWEN_MODEL_SPECS


@dataclass(frozen=True)
class SourceTerms:
    """A dataset that labels were made from.

    Attributes:
        title: its name.
        address: where it is to be had; empty where nobody but its owner has it.
        licence: its licence as an identifier of the Hugging Face hub.
        note: what that means for the labels, in short.
        hub_id: its name on the hub, empty where it is not there.
    """

    title: str
    address: str
    licence: str
    note: str
    hub_id: str = ""


# docs/data.md says the same with more words; licences are read on the pages named here.
SOURCES = {
    "pai": SourceTerms(
        "Physical AI Autonomous Vehicles",
        "https://huggingface.co/datasets/nvidia/PhysicalAI-Autonomous-Vehicles",
        "other",
        "NVIDIA's dataset licence, gated: read it before labels are passed on",
        "nvidia/PhysicalAI-Autonomous-Vehicles",
    ),
    "comma2k19": SourceTerms("comma2k19", "https://github.com/commaai/comma2k19", "mit", "MIT"),
    "boreas": SourceTerms(
        "Boreas", "https://www.boreas.utias.utoronto.ca/", "cc-by-4.0", "CC BY 4.0: credit is to be given"
    ),
    "table": SourceTerms("own recordings", "", "unknown", "their owner's"),
}

_BY_RULES = "Rules of CoC Toolkit, Apache-2.0; no model was asked"
_HOSTED = "A hosted model: its provider's terms hold, and may limit what its output may train"
_BY_NAME = {
    "rules": _BY_RULES,
    "dummy": "A stand-in without judgement: its labels are for tests of software and must not train anything",
    "gpt5": _HOSTED,
    "gpt5.5": _HOSTED,
    "openai_compatible": "A server of the user's choice: the terms of its model hold, and are not known here",
}


def source_terms(dataset: str) -> SourceTerms:
    """Return what is known of a dataset's terms; of an unknown one that nothing is."""
    return SOURCES.get(
        dataset, SourceTerms(dataset, "", "unknown", "not known here: state it before labels are passed on")
    )


def teacher_terms(model: str) -> str:
    """Return what is known of the terms of whoever wrote labels.

    Example:
        >>> teacher_terms("some-model")
        'Not known here: state them before labels are passed on'
    """
    if model in QWEN_MODEL_SPECS:
        return f"Open weights: the licence stands in https://huggingface.co/{QWEN_MODEL_SPECS[model][1]}"
    return _BY_NAME.get(model, "Not known here: state them before labels are passed on")


def card_licence(dataset: str, models: Sequence[str]) -> str:
    """Return the licence that a card can state: the recordings', where rules alone wrote; else it is not settled."""
    terms = source_terms(dataset)
    return terms.licence if set(models) == {"rules"} else "other" if terms.licence == "other" else "unknown"
