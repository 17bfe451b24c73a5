"""Labels of built scenes, checked."""

from dataclasses import replace
from typing import Any

from builders.asked import mirrored_text
from builders.driving import Drive
from builders.scenes import mirrored, mirrored_boxes, window_at
from coc_labeling.checks.base import Case, Finding, Verdict
from coc_labeling.checks.checking import CheckedLabel, Checker, ClipToCheck, LabelToCheck, case_of
from coc_labeling.scene.facts import scene_facts
from coc_labeling.schema import CoCLabel, Side
from driving_clips.obstacles import ObstacleTracks
from meta_action.timeline import Timeline

OTHER = {"left": "right", "right": "left"}


def said(sentence: str, **fields: Any) -> CoCLabel:
    """Return a label with a sentence, and whatever else it has."""
    return CoCLabel(effect_on_ego_behavior=sentence, **fields)


def speed(decision: str, *causes: str) -> dict[str, Any]:
    """Return a decision on speed with its causes, ``unobserved`` by default."""
    return {"decision": decision, "cause_ids": causes or ("unobserved",)}


def lane(decision: str, direction: str | None = None, *causes: str) -> dict[str, Any]:
    """Return a decision on the lane with its causes, ``unobserved`` by default."""
    return {"decision": decision, "direction": direction, "cause_ids": causes or ("unobserved",)}


def road_user(description: str, relation: str | None = None, side: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the component c1, a critical object."""
    return {
        "id": "c1",
        "category": "critical_object",
        "relation": relation,
        "side": side,
        "description": description,
        **more,
    }


def clip_of(d: Drive, frame: int, obstacles: ObstacleTracks | None = None, *, timeline: bool = True) -> ClipToCheck:
    """Return a built scene as checks take it."""
    window = window_at(d, frame, obstacles)
    scene = scene_facts(window.ego, obstacles)
    spans = window.timeline if timeline else Timeline("clip", ())
    return ClipToCheck("clip", window.ego, spans, obstacles, scene, 2.0, 6.0)


def case(label: CoCLabel, d: Drive, frame: int, obstacles: ObstacleTracks | None = None, **known: Any) -> Case:
    """Return a label of a built scene as a case."""
    return case_of(clip_of(d, frame, obstacles), LabelToCheck(frame * 100_000, label, **known))


def checked(
    label: CoCLabel, d: Drive, frame: int, obstacles: ObstacleTracks | None = None, **known: Any
) -> CheckedLabel:
    """Return a label of a built scene with what all checks found."""
    return Checker().check(clip_of(d, frame, obstacles), LabelToCheck(frame * 100_000, label, **known))


def verdicts(found: CheckedLabel, check: str) -> list[Verdict]:
    """Return the verdicts of one check."""
    return [finding.verdict for finding in found.findings if finding.check == check]


def contradictions(found: CheckedLabel) -> list[str]:
    """Return the checks that contradict by measured facts."""
    return [f.check for f in found.findings if f.verdict is Verdict.CONTRADICTED and f.sources]


def mirrored_scene(d: Drive, obstacles: ObstacleTracks | None) -> tuple[Drive, ObstacleTracks | None]:
    """Return a scene with left and right swapped."""
    return mirrored(d), mirrored_boxes(obstacles)


def mirrored_label(label: CoCLabel) -> CoCLabel:
    """Return a label with left and right swapped in its structure and its words."""
    content = label.model_dump()
    lateral, components = content["lateral"], content["components"]
    if lateral is not None and lateral["direction"] is not None:
        lateral["direction"] = OTHER[lateral["direction"]]
    for component in components:
        component["description"] = mirrored_text(component["description"])
        if component["side"] is not None:
            component["side"] = OTHER[component["side"]]
    for name in ("effect_on_ego_behavior", "trace"):
        content[name] = content[name] and mirrored_text(content[name])
    return CoCLabel.model_validate(content)


def mirrored_finding(finding: Finding) -> Finding:
    """Return a finding in a mirror, its numbers left out."""
    return replace(finding, about=mirrored_text(finding.about), reason=mirrored_text(finding.reason), numbers={})


SIDES = [str(side) for side in Side]
