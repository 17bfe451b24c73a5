"""The formats that datasets can be written in; more are added by the entry-point group ``coc_labeling.exporters``."""

from coc_labeling.errors import CocLabelingError
from coc_labeling.export.base import Exporter
from coc_labeling.export.flat import Csv, JsonLines
from coc_labeling.export.hf import HuggingFace
from coc_labeling.export.label_studio import LabelStudio
from coc_labeling.export.reasoning_parquet import ReasoningParquet
from coc_labeling.export.sft_chat import SftChat
from coc_labeling.export.webdataset import WebDataset
from driving_clips import registry

ENTRY_POINTS = "coc_labeling.exporters"
EXPORTERS: dict[str, type[Exporter]] = {
    exporter.name: exporter
    for exporter in (JsonLines, Csv, ReasoningParquet, SftChat, HuggingFace, WebDataset, LabelStudio)
}


def exporter_class(name: str) -> type[Exporter]:
    """Return the exporter of a format; raises CocLabelingError for an unknown one, with those there are."""
    try:
        found: type[Exporter] = registry.look_up("format", name, EXPORTERS, ENTRY_POINTS)
    except KeyError as error:
        raise CocLabelingError(f"--format: {error.args[0]}.") from error
    return found
