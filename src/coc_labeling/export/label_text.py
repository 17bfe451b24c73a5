"""A label as a few lines of text."""

from coc_labeling.pictures.ink import clean
from coc_labeling.pictures.story import words
from coc_labeling.report.clips import Keyframe


def label_text(keyframe: Keyframe) -> str:
    """Return a label's decisions, sentence, causes and trace, a line each; of an abstention its reason and detail."""
    row = keyframe.row
    if keyframe.is_abstention:
        detail = keyframe.detail or row.get("abstention_detail") or ""
        lines = [f"no label: {words(row['abstention_reason'] or 'unknown')}", detail]
    else:
        lateral = words(row["lateral"] or "no lateral decision") + (f", {row['direction']}" if row["direction"] else "")
        causes = [text for _, own in keyframe.causes for text, _ in own]
        decisions = f"{words(row['longitudinal'] or 'no longitudinal decision')} / {lateral}"
        lines = [decisions, row["sentence"] or "", *causes, row.get("trace") or ""]
    return "\n".join(line for line in map(clean, lines) if line)
