"""Tasks for Label Studio, with the label as a prediction to be corrected, and the labelling configuration beside them.

Formats: labelstud.io, guide/predictions ("Basic Label Studio JSON format"), guide/task_format and tags. Pictures are
named as Label Studio serves local files, below the export's folder (guide/storage, "Local storage").
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import IO, Any, ClassVar
from urllib.parse import quote
from xml.etree import ElementTree

from coc_labeling.export.base import Exporter
from coc_labeling.export.content import Content, Images, Need
from coc_labeling.export.flat import LINE_ENDS
from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.rows import ExportRow, as_dict
from coc_labeling.review.judgements import Reason, Verdict
from coc_labeling.schema import LateralDecision, LongitudinalDecision, Side
from driving_clips import files

CONFIG = "labeling_config.xml"
SERVED = "/data/local-files/?d="  # what follows is a path below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT
MOMENT = "moment"  # what all answers are of
_CHOICES: dict[str, type[StrEnum]] = {
    "longitudinal": LongitudinalDecision,
    "lateral": LateralDecision,
    "direction": Side,
}
_TEXTS = ("sentence", "trace", "components")


class LabelStudio(Exporter):
    """``data/<split>.json``, an array of tasks, and ``labeling_config.xml``; pictures lie in ``images/``."""

    name = "label-studio"
    images: ClassVar[tuple[Images, ...]] = (Images.PATHS, Images.NONE)

    def __init__(self, folder: ExportFolder, content: Content) -> None:
        super().__init__(folder, content)
        self._files: dict[str, IO[str]] = {}

    @classmethod
    def needs(cls, content: Content) -> frozenset[Need]:
        """Return that frames are needed, if pictures are wanted."""
        return frozenset() if content.images is Images.NONE else frozenset({Need.FRAMES})

    def add(self, row: ExportRow) -> None:
        """Add a task to the file of its split."""
        begun = row.split in self._files
        if not begun:
            self._files[row.split] = files.open_append(self.folder.create(f"data/{row.split}.json"))
        task = json.dumps(task_of(row), ensure_ascii=False).translate(LINE_ENDS)
        self._files[row.split].write(f"{',' if begun else '['}\n{task}")

    def finish(self, splits: Sequence[str]) -> None:
        """End the arrays, and write the labelling configuration."""
        for file in self._files.values():
            file.write("\n]\n")
        config = labelling_config(with_pictures=self.content.images is not Images.NONE)
        files.write_atomic(self.folder.create(CONFIG), config)

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def data_files(self) -> dict[str, str]:
        """Return the file of each split."""
        return {split: f"data/{split}.json" for split in self._files}


def task_of(row: ExportRow) -> dict[str, Any]:
    """Return a label as a task: what is shown, and the label as the prediction that an annotation begins with."""
    data = {
        **as_dict(row),
        MOMENT: f"{row.clip_id} at {row.event_start_timestamp / 1e6:.2f} s",
        "images": [f"{SERVED}{quote(frame.path)}" for frame in row.scene.frames],
        "cameras": [frame.camera for frame in row.scene.frames],
        "frame_times_us": [frame.t_us for frame in row.scene.frames],
    }
    made = (row.provenance[name] for name in ("agent", "model", "prompt_version"))
    prediction: dict[str, Any] = {"model_version": " ".join(str(one) for one in made if one), "result": [*_said(row)]}
    if row.risk is not None:
        prediction["score"] = round(1 - row.risk, 6)
    return {"data": data, "predictions": [prediction]}


def _said(row: ExportRow) -> Iterator[dict[str, Any]]:
    for name in _CHOICES:
        chosen = getattr(row, name)
        if chosen is not None:
            yield _answer(name, "choices", "choices", [chosen])
    components = [_component(one) for one in row.label["components"]]
    texts = {"sentence": [row.label["effect_on_ego_behavior"]], "trace": [row.label["trace"]], "components": components}
    for name in _TEXTS:
        text = [one for one in texts[name] if one]
        if text:
            yield _answer(name, "textarea", "text", text)


def _answer(name: str, kind: str, key: str, value: list[str]) -> dict[str, Any]:
    return {"id": name, "from_name": name, "to_name": MOMENT, "type": kind, "value": {key: value}}


def _component(component: dict[str, Any]) -> str:
    """Return a component as a line, such as ``critical_object lead left: the car``."""
    kind = " ".join(component[name] for name in ("category", "relation", "side") if component[name])
    return f"{kind}: {component['description']}"


def labelling_config(*, with_pictures: bool) -> str:
    """Return what Label Studio is to show and to ask, as XML; nothing in it comes from labels."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Text", name=MOMENT, value=f"${MOMENT}", valueType="text")
    if with_pictures:
        ElementTree.SubElement(view, "Image", name="frames", valueList="$images")
    for name, choices in _CHOICES.items():
        _ask(view, name, choices)
    for name in _TEXTS:
        _head(view, name)
        area = ElementTree.SubElement(view, "TextArea", name=name, toName=MOMENT, editable="true", rows="2")
        if name != "components":
            area.set("maxSubmissions", "1")
    _ask(view, "verdict", Verdict).set("required", "true")
    reason = _ask(view, "reason", Reason)
    for key, value in (("visibleWhen", "choice-selected"), ("whenTagName", "verdict"), ("whenChoiceValue", "reject")):
        reason.set(key, value)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _ask(view: ElementTree.Element, name: str, choices: Iterable[str]) -> ElementTree.Element:
    _head(view, name)
    group = ElementTree.SubElement(view, "Choices", name=name, toName=MOMENT, choice="single", showInline="true")
    for value in choices:
        ElementTree.SubElement(group, "Choice", value=str(value))
    return group


def _head(view: ElementTree.Element, text: str) -> None:
    ElementTree.SubElement(view, "Header", value=text)
