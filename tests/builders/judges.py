"""Judges against the fake model server: experiments to judge, and answers that follow from what is asked."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.coc import Answer, coc
from builders.fake_openai import FakeOpenAI, Request
from builders.model_runs import KEY, KEY_NAME, MOMENTS, ModelCommand, answer
from coc_labeling.judge.rows import Rows
from coc_labeling.judge.stages import Stage

JUDGE = "judge-model"
QUESTIONS = {stage: f"q{int(stage)}" for stage in Stage}  # how each stage is asked
SCHEMA = re.compile(r"^Judge(Evidence|Behaviour|Cause)")
LEAD = {"id": "c1", "category": "critical_object", "relation": "lead", "side": None, "description": "white van"}


def labelled_with_a_lead(request: Request) -> str:
    """Return a label that cites a lead; each request gets its own, every time."""
    own = hashlib.sha256(request.body).hexdigest()[:8]
    return answer(
        f"Keep the distance to the white van, says {own}.",
        components=[LEAD],
        longitudinal={"decision": "follow_lead", "cause_ids": ["c1"]},
    )


def stage_of(request: Request) -> str | None:
    """Return the stage that a request asks about: evidence, behaviour, cause; None of one for a label."""
    name = (request.json.get("response_format") or {}).get("json_schema", {}).get("name", "")
    match = SCHEMA.match(name)
    return match[1].lower() if match else None


def texts_of(request: Request) -> str:
    """Return all that is said in a request."""
    said = (part for message in request.json["messages"] for part in message["content"])
    return "\n".join(part["text"] for part in said if part["type"] == "text")


def claim_of(request: Request) -> str:
    """Return what the label is said to be: the last part."""
    return request.json["messages"][-1]["content"][-1]["text"]


def pictures_of(request: Request) -> int:
    """Return how many pictures are shown."""
    said = (part for message in request.json["messages"] for part in message["content"])
    return sum(part["type"] == "image_url" for part in said)


def scored(request: Request, good: float, **changes: Any) -> str:
    """Return an answer of the form that is asked for, every score as good as said."""
    wanted = request.json["response_format"]["json_schema"]["schema"]["properties"]
    scores = {
        name: (round(1 - good, 3) if name.endswith("_hallucination_score") else good)
        for name in wanted
        if name not in ("unreadable", "reason")
    }
    return json.dumps({"unreadable": False, "reason": "It is as said.", **scores, **changes})


@dataclass
class ScriptedJudge:
    """Labels, and judges: with ``sharp`` it scores what names the white van high and all else low, else by chance."""

    sharp: bool = True
    claims: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, request: Request) -> str:
        """Answer."""
        stage = stage_of(request)
        if stage is None:
            return labelled_with_a_lead(request)
        claim = claim_of(request)
        self.claims.append((stage, claim))
        chance = random.Random(hashlib.sha256(request.body).digest())
        good = (0.75 if "white van" in claim else 0.15) + chance.random() * 0.2 if self.sharp else chance.random()
        return scored(request, round(good, 3))


def rows_on(labels: Mapping[tuple[str, int], str]) -> Rows:
    """Return no rows yet, about labels whose hashes are given by clip and keyframe."""
    return Rows(QUESTIONS, {moment: number for number, moment in enumerate(labels)}, list(labels.values()).__getitem__)


@dataclass
class JudgeCommand:
    """``coc validate`` against a server, of an experiment that was labelled by the same server."""

    run_dir: Path
    server: FakeOpenAI

    @property
    def folder(self) -> Path:
        """Where the judge writes."""
        return self.run_dir / "validation" / JUDGE

    def arguments(self, *options: object, model: str = JUDGE, **changes: Any) -> list[str]:
        """Return what is typed after ``coc``; ``__`` stands for a dot."""
        default = {
            "openai_compatible__base_url": self.server.base_url,
            "openai_compatible__model": model,
            "openai_compatible__api_key_env": KEY_NAME,
            "num_workers": 1,
        }
        keys = {key.replace("__", "."): value for key, value in (default | changes).items()}
        typed = ["validate", self.run_dir, "--model-name", "openai_compatible", *options]
        return [*map(str, typed), *(f"{key}={value}" for key, value in keys.items())]

    def __call__(self, *options: object, model: str = JUDGE, **changes: Any) -> Answer:
        """Run."""
        return coc(*self.arguments(*options, model=model, **changes))

    def start(self, *options: object, **changes: Any) -> subprocess.Popen:
        """Run as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", "from coc_toolkit.cli import main; main()", *self.arguments(*options, **changes)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {KEY_NAME: KEY},
        )

    def rows(self, name: str = "evaluations") -> list[dict[str, Any]]:
        """Return the rows of a file."""
        return [json.loads(line) for line in (self.folder / f"{name}.jsonl").read_text().splitlines()]

    def final(self) -> dict[str, Any]:
        """Return ``validation.json``."""
        return json.loads((self.folder / "validation.json").read_text())

    def told(self) -> dict[str, Any]:
        """Return the summary of the run."""
        return json.loads((self.folder / "run_summary.json").read_text())

    def reasons(self) -> dict[str, int]:
        """Return how many questions ended how, as ``outcome: reason``."""
        return {f"{o}: {r}": n for o, rs in self.told()["reasons"].items() for r, n in rs.items() if n}

    @property
    def asked(self) -> int:
        """How many questions reached the judge."""
        return sum(stage_of(request) is not None for request in self.server.requests)


def label_and_judge(
    model: ModelCommand,
    server: FakeOpenAI,
    moments: list[tuple[str, int]] | None = None,
    judge: Callable[[Request], str] | None = None,
    **settings: Any,
) -> JudgeCommand:
    """Label and return what judges the labels."""
    server.answer = judge or ScriptedJudge()
    assert model(MOMENTS if moments is None else moments, **settings) == 0
    return JudgeCommand(model.folder, server)
