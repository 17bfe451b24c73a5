"""Batches of scenes: which ones come together, and how they become the model's inputs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, Subset
from transformers import PreTrainedTokenizerBase

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.base_model import ReasoningVLAConfig
from alpamayo_r1.models.processing import build_processor
from alpamayo_r1.models.token_utils import TRAJ_TOKEN
from alpamayo_r1.training.conversation import COMPONENTS, LOSS_COMPONENTS, AnswerTokens, Parts, mask_of
from alpamayo_r1.training.prepared import FrameSize, PreparedScene, PreparedSet

__all__ = ["BucketBatchSampler", "Collator", "data_loader", "frame_size", "usable"]

# So many batches' scenes are drawn at random and sorted by length: fewer in a short epoch, for texts of one length are
# much alike, and batches of their own would make learning uneven.
_MOST_SORTED, _LEAST_SORTS = 50, 8
_BICUBIC = 3  # as Pillow numbers it
_TEXTS_AT_ONCE = 10_000
_PICTURES = ("pixel_values", "image_grid_thw")


class Collator:
    """Makes a batch of scenes; it can be pickled, for workers of a data loader.

    A batch holds "tokenized_data" ("input_ids", "attention_mask", "mm_token_type_ids", all (B, L) int64 and padded on
    the left; "pixel_values" and "image_grid_thw"; placeholders of trajectories are not fused yet), "ego_history_xyz"
    (B, 1, 16, 3), "ego_history_rot" (B, 1, 16, 3, 3), "ego_future_xyz" (B, 1, 64, 3) and "ego_future_rot", float32;
    "loss_mask" (B, L) bool; "names" [(clip_id, t0_us)]; and "problems" [text].

    Raises:
        AlpamayoError: components that do not fit, or a tokenizer that lacks their tokens.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: ReasoningVLAConfig,
        components: Sequence[str] = COMPONENTS,
        loss_components: Sequence[str] = LOSS_COMPONENTS,
        *,
        for_expert: bool = False,
    ) -> None:
        self.parts = Parts(tuple(components), tuple(loss_components), for_expert)
        self.tokenizer = tokenizer
        self.tokens = AnswerTokens.of(tokenizer, self.parts.answers)
        self._history = config.tokens_per_history_traj
        self._future = TRAJ_TOKEN["future"] * config.tokens_per_future_traj

    def __call__(self, scenes: Sequence[PreparedScene]) -> dict[str, Any]:
        """Return the batch of scenes.

        Raises:
            AlpamayoError: frames of a size that the processor would change, or a scene without what is asked for.
        """
        prompts = self._prompts(scenes)
        answers = self._tokenized([self._answer(scene) for scene in scenes])
        rows = [
            torch.cat([prompt[own], torch.tensor(answer, dtype=prompt.dtype)])
            for prompt, own, answer in zip(prompts["input_ids"], prompts["attention_mask"] == 1, answers, strict=True)
        ]
        ids, attention = _padded(rows, int(self.tokenizer.pad_token_id))
        mask, problems = mask_of(ids, attention, self.tokens, self.parts.with_loss)
        types = (ids == self._image_token).to(ids.dtype)
        pictures = {name: prompts[name] for name in _PICTURES if name in prompts}
        return {
            "tokenized_data": {"input_ids": ids, "attention_mask": attention, "mm_token_type_ids": types, **pictures},
            **_paths(scenes),
            "loss_mask": mask,
            "names": [(scene.clip_id, scene.t0_us) for scene in scenes],
            "problems": problems,
        }

    def lengths(self, scenes: PreparedSet, indices: Sequence[int]) -> NDArray[np.int64]:
        """Return how many tokens the rows of scenes have, without padding."""
        if not len(indices):
            return np.zeros(0, np.int64)
        pictures = np.prod([scenes.column(name) for name in ("frames", "height", "width")], axis=0, dtype=np.int64)
        pictures //= scenes.size.token_side**2
        if "image" not in self.parts.components:
            pictures[:] = 0
        lengths: NDArray[np.int64] = pictures[list(indices)]
        for name in ("cot", "meta_action"):
            if name in self.parts.answers:
                said = scenes.column(name)
                lengths += self._text_lengths([said[index] for index in indices])
        first = self([scenes[indices[0]]])["tokenized_data"]["input_ids"].shape[1]
        lengths += first - lengths[0]  # what all rows have in common
        return lengths

    @cached_property
    def _processor(self) -> Any:
        return build_processor(self.tokenizer)

    @property
    def _image_token(self) -> int:
        return int(self._processor.image_token_id)

    @cached_property
    def size(self) -> FrameSize:
        """How large the processor makes frames; raises AlpamayoError where scenes cannot be prepared for it."""
        return _size_of(self._processor)

    def _prompts(self, scenes: Sequence[PreparedScene]) -> Any:
        """Return prompts as inference has them, up to the first answer's start token."""
        side = self.size.token_side
        for scene in scenes:
            height, width = scene.frames.shape[2:]
            if height % side or width % side:
                raise AlpamayoError(
                    f"{scene.clip_id}/{scene.t0_us}: frames of {width} x {height}, expected multiples of {side}. "
                    "Prepare them with the size of this model's processor."
                )
        return self._processor.apply_chat_template(
            [self.parts.messages(torch.from_numpy(scene.frames), self._history) for scene in scenes],
            tokenize=True,
            add_generation_prompt=False,
            continue_final_message=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "do_resize": False},
        )

    def _answer(self, scene: PreparedScene) -> str:
        if "meta_action" in self.parts.answers and scene.meta_action is None:
            raise AlpamayoError(f"{scene.clip_id}/{scene.t0_us}: has no meta_action. Leave it out: see usable.")
        said = {"cot": scene.cot, "meta_action": scene.meta_action or "", "traj_future": self._future}
        return self.parts.answer(said)

    def _tokenized(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def _text_lengths(self, texts: Sequence[str | None]) -> NDArray[np.int64]:
        counts: list[int] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = [text or "" for text in texts[start : start + _TEXTS_AT_ONCE]]
            counts += [len(ids) for ids in self._tokenized(some)]
        return np.array(counts, np.int64)


def _padded(rows: Sequence[Tensor], padding: int) -> tuple[Tensor, Tensor]:
    """Return rows as one tensor, padded on the left, and where they are not padding."""
    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), padding, dtype=torch.int64)
    attention = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, length - len(row) :] = row
        attention[number, length - len(row) :] = 1
    return ids, attention


def _paths(scenes: Sequence[PreparedScene]) -> dict[str, Tensor]:
    names = ("history_xyz", "history_rot", "future_xyz", "future_rot")
    return {
        f"ego_{name}": torch.from_numpy(np.stack([getattr(scene, name) for scene in scenes]))[:, None] for name in names
    }


class BucketBatchSampler(Sampler[list[int]]):
    """Batches of scenes of about one length, in an order that seed and epoch decide; each scene once an epoch.

    ``accelerate`` sets the epoch of what it has prepared by itself, counting from 0: to go on in a later one call
    ``set_epoch`` of the prepared loader, not of this.

    Attributes:
        batch_size: scenes of a batch; the last batch of an epoch may have fewer.
        drop_last: False.
    """

    drop_last = False

    def __init__(
        self, lengths: Sequence[int] | NDArray[np.int64], batch_size: int, *, seed: int = 0, shuffle: bool = True
    ) -> None:
        if batch_size < 1:
            raise AlpamayoError(f"batch_size={batch_size}: expected at least 1.")
        self.batch_size = batch_size
        self._lengths = np.asarray(lengths, np.int64)
        self._seed, self._shuffle, self._epoch = seed, shuffle, 0

    @property
    def sampler(self) -> "BucketBatchSampler":
        """Itself, where ``accelerate`` looks for what has epochs."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; takes effect when the batches are gone through the next time."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """Yield batches of places in ``lengths``; not shuffled, they are sorted by length."""
        if not self._shuffle:
            yield from self._cut(np.argsort(self._lengths, kind="stable"))
            return
        random = np.random.default_rng([self._seed, self._epoch])
        order = random.permutation(len(self._lengths))
        rest = len(order) % self.batch_size
        whole, last = order[: len(order) - rest], order[len(order) - rest :]
        step = self.batch_size * min(max(len(self) // _LEAST_SORTS, 1), _MOST_SORTED)
        groups = (whole[start : start + step] for start in range(0, len(whole), step))
        batches = [batch for own in groups for batch in self._cut(own[np.argsort(self._lengths[own], kind="stable")])]
        for number in random.permutation(len(batches)):
            yield batches[number]
        yield from self._cut(last)  # last, as accelerate takes a short batch for the end

    def __len__(self) -> int:
        return -(-len(self._lengths) // self.batch_size)

    def _cut(self, order: NDArray[np.int64]) -> list[list[int]]:
        return [order[start : start + self.batch_size].tolist() for start in range(0, len(order), self.batch_size)]


def frame_size(tokenizer: PreTrainedTokenizerBase) -> FrameSize:
    """Return how large the processor of a model's tokenizer makes frames: what scenes are to be prepared with.

    Raises:
        AlpamayoError: the tokenizer lacks the model's tokens, or the processor resizes in another way.
    """
    return _size_of(build_processor(tokenizer))


def _size_of(processor: Any) -> FrameSize:
    images = processor.image_processor
    if not images.do_resize or int(images.resample) != _BICUBIC:
        raise AlpamayoError(
            f"image processor: expected one that resizes bicubically, found do_resize={images.do_resize}, "
            f"resample={images.resample}."
        )
    limits = (int(images.size["shortest_edge"]), int(images.size["longest_edge"]))
    return FrameSize(*limits, int(images.patch_size), int(images.merge_size))


def usable(scenes: PreparedSet, components: Sequence[str]) -> tuple[list[int], Counter[str]]:
    """Return the scenes that have what components ask for, and how many have not, by reason."""
    if "meta_action" not in components:
        return list(range(len(scenes))), Counter()
    said = scenes.column("meta_action")
    chosen = [index for index, text in enumerate(said) if text is not None]
    missing = len(said) - len(chosen)
    return chosen, Counter({"no meta_action": missing} if missing else {})


def data_loader(
    scenes: PreparedSet,
    indices: Sequence[int],
    collator: Collator,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = True,
    num_workers: int = 0,
) -> DataLoader[Any]:
    """Return batches of the scenes of ``indices``, made in worker processes where there are any.

    Raises:
        AlpamayoError: no scenes, or frames that were prepared for another size than the collator's.
    """
    if not len(indices):
        raise AlpamayoError(f"{scenes.folder}: no scenes to make batches of.")
    if scenes.size != collator.size:
        raise AlpamayoError(
            f"{scenes.folder}: frames were prepared for {scenes.size}, and this model's processor has {collator.size}. "
            "Prepare them again in another folder."
        )
    sampler = BucketBatchSampler(collator.lengths(scenes, indices), batch_size, seed=seed, shuffle=shuffle)
    return DataLoader(
        Subset(scenes, indices),
        batch_sampler=sampler,
        collate_fn=collator,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        multiprocessing_context="spawn" if num_workers else None,  # forking a process with threads can deadlock
    )
