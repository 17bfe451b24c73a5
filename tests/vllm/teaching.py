"""Teaches a tiny model the forms of answers, so that it ends its texts early and writes labels that hold.

It learns labels as text, after prompts of some words of the corpus and after long ones; pictures are never shown. What
it says has nothing to do with what it sees.
"""

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

SEED = 7
STEPS, BATCH, TOKENS_BEFORE = 110, 16, 24
LONG_STEPS, LONG_BATCH, LONG_BEFORE = 60, 2, 1600
LEARNING_RATE = 4e-3
ATTENTION = 2.0  # weight of the norms of queries and keys at the beginning: sharp enough to find one word among 2,000

# What is seen -> how it is named, and what ego does about it: category, relation, longitudinal, lateral, sentence.
SCENES = [
    ("lead vehicle {n} m ahead, slower than ego", "critical_object", "lead", "follow_lead", "keep_lane",
     "Slow down to keep distance to the lead vehicle."),
    ("white van {n} m ahead in ego's lane, braking", "critical_object", "lead", "follow_lead", "keep_lane",
     "Slow down behind the white van that brakes."),
    ("red light at the junction ahead", "traffic_light", None, "stop", "keep_lane",
     "Stop for the red light at the junction."),
    ("pedestrian on the crosswalk {n} m ahead", "critical_object", "crossing", "yield", "keep_lane",
     "Give way to the pedestrian on the crosswalk."),
    ("tight curve to the {side} {n} m ahead", "road_event", None, "adapt_speed", "keep_lane",
     "Decelerate gently for the {side} curve."),
    ("truck parked at the {side} of the road", "critical_object", "parked", "track_speed", "nudge_in_lane",
     "Nudge {other} to keep clear of the parked truck on the {side}."),
    ("lane that ends at roadworks {n} m ahead", "lane", None, "search_gap", "change_lane",
     "Change to the {other} lane as ego's lane ends at the roadworks."),
    ("stop sign at the junction ahead", "traffic_control", None, "stop", "turn",
     "Stop at the stop sign, then turn {other}."),
]  # fmt: skip
OTHER = {"left": "right", "right": "left"}


def answers() -> Iterator[str]:
    """Yield answers as a model gives them, in all forms: one pass, the sentence alone, a repair, two stages."""
    source = random.Random(SEED)
    while True:
        chosen = source.sample(SCENES, source.randint(1, 2))
        side = source.choice(["left", "right"])
        words = {"side": side, "other": OTHER[side], "n": source.choice([12, 20, 40])}
        seen = [
            {"category": category, "relation": relation, "side": side if "{side}" in what else None,
             "description": what.format(**words)}
            for what, category, relation, *_ in chosen
        ]  # fmt: skip
        decided = _decided(chosen[0], words)
        sentence = {"effect_on_ego_behavior": decided["effect_on_ego_behavior"]}
        named = [{"id": f"c{n}"} | component for n, component in enumerate(seen, start=1)]
        forms = [
            {"unreadable": False, "components": named} | decided,
            {"unreadable": False, "components": seen},
            {"emerged_after": None} | decided,
            {"unreadable": False} | sentence,
            decided,
        ]
        yield from (json.dumps(form, separators=(",", ":")) for form in forms)


def _decided(scene: tuple[Any, ...], words: dict[str, Any]) -> dict[str, Any]:
    what, _, _, longitudinal, lateral, sentence = scene
    straight = lateral == "keep_lane"
    return {
        "longitudinal": {"decision": longitudinal, "cause_ids": ["c1"]},
        "lateral": {
            "decision": lateral,
            "direction": None if straight else words["other"],
            "cause_ids": ["unobserved" if straight else "c1"],
        },
        "trace": f"Ego sees the {what.format(**words)}.",
        "effect_on_ego_behavior": sentence.format(**words),
    }


def teach(model: Any, tokenizer: Any, corpus: str) -> None:
    """Change the weights of a model; takes about half a minute on two cores."""
    import torch

    source = random.Random(SEED)
    written = answers()
    words = tokenizer(corpus)["input_ids"]
    start = tokenizer("<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    ends = tokenizer("<|im_end|>")["input_ids"]
    named = [(name, weight) for name, weight in model.named_parameters() if "visual" not in name]
    for name, weight in named:
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            weight.data.fill_(ATTENTION)
    weights = [weight for _, weight in named]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.01)
    steps = [(BATCH, TOKENS_BEFORE)] * STEPS + [(LONG_BATCH, LONG_BEFORE)] * LONG_STEPS
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(steps), pct_start=0.1)
    model.train()
    for batch, longest in steps:
        before = source.randint(longest // 2, longest)
        rows = []
        for text in itertools.islice(written, batch):
            prompt = _excerpt(words, before, source)
            rows.append((prompt + start, tokenizer(text)["input_ids"] + ends))
        loss = _loss(model, rows, tokenizer.pad_token_id)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def _excerpt(words: list[int], count: int, source: random.Random) -> list[int]:
    """Return some of the corpus, in pieces from everywhere."""
    taken: list[int] = []
    while len(taken) < count:
        first = source.randrange(len(words))
        taken += words[first : first + source.randint(1, 200)]
    return taken[:count]


def _loss(model: Any, rows: list[tuple[list[int], list[int]]], padding: int) -> Any:
    """Return the loss of the answers; all prompts have one length."""
    import torch

    before = len(rows[0][0])
    longest = max(len(answer) for _, answer in rows)
    ids = torch.tensor([prompt + answer + [padding] * (longest - len(answer)) for prompt, answer in rows])
    targets = ids[:, before:].masked_fill(ids[:, before:] == padding, -100)
    logits = model(input_ids=ids, logits_to_keep=longest + 1).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
