"""The data of a training: labels are prepared, split into training and validation, and made to batches."""

import hashlib
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator, skip_first_batches

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.base_model import ReasoningVLA
from alpamayo_r1.scenes import SceneShape
from alpamayo_r1.training.batches import Collator, data_loader, frame_size, usable
from alpamayo_r1.training.loop import Batch, Batches
from alpamayo_r1.training.prepared import SUMMARY, PreparedSet, PrepareRequest, left_out_of, prepare
from alpamayo_r1.training.settings import Stage, TrainSettings
from batch_runs.terminal import say
from driving_clips import files


@dataclass(frozen=True)
class TrainingData:
    """What a training learns from.

    Attributes:
        train: batches to learn from.
        validation: batches to evaluate, or None.
        counts: of scenes, by what they are for or why they are left out.
        notices: what a user should know.
    """

    train: Batches
    validation: Batches | None
    counts: dict[str, int]
    notices: tuple[str, ...] = ()

    def close(self) -> None:
        """End the processes that make batches."""
        for batches in (self.train, self.validation):
            if batches is not None:
                batches.close()


class LoaderBatches:
    """The batches of a data loader that are a process's own."""

    def __init__(self, loader: Any, accelerator: Accelerator) -> None:
        loader.worker_init_fn = _leave_signals_to_the_first
        self._loader = accelerator.prepare_data_loader(loader)
        self._resumed: Any = None  # that of the epoch which a training goes on in

    def __len__(self) -> int:
        return len(self._loader)

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield those of an epoch after the first ``skip``, which are not made.

        Raises:
            AlpamayoError: a scene that cannot be read, or be made a batch of.
        """
        self._loader.set_epoch(number)
        if skip:
            self._resumed = skip_first_batches(self._loader, skip)
        try:
            yield from self._resumed if skip else self._loader
        except AlpamayoError as error:
            raise AlpamayoError(_said_in_worker(str(error))) from None
        if skip:
            _end_workers(self._resumed)

    def close(self) -> None:
        """End the worker processes."""
        for loader in (self._loader, self._resumed):
            if loader is not None:
                _end_workers(loader)


def _end_workers(loader: Any) -> None:
    """End a loader's worker processes: as they leave signals alone, Python would wait for them for ever at its exit."""
    base = loader.base_dataloader
    iterator, base._iterator = base._iterator, None
    if iterator is not None:
        iterator._shutdown_workers()


def _said_in_worker(message: str) -> str:
    """Return the message of an error without the traceback that a data loader puts before it.

    Example:
        >>> _said_in_worker("Caught AlpamayoError in DataLoader worker process 0. alpamayo_r1.AlpamayoError: damaged.")
        'damaged.'
    """
    return message.rpartition(f"{AlpamayoError.__name__}: ")[2].strip()


def _leave_signals_to_the_first(worker: int) -> None:
    """Let a worker go on where a terminal or a scheduler signals the whole group: the step that is under way needs it.

    It ends with the process that has started it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def validation_drives(drives: Iterable[str], share: float) -> set[str]:
    """Return the drives that are kept for validation, about ``share`` of them.

    A hash of its name decides for a drive, so that it stays where it is when others are added. Of two and more, at
    least one is kept and one learnt from.

    Example:
        >>> sorted(validation_drives(["a", "b", "c", "d", "e", "f"], 0.3))
        ['a', 'd', 'f']
    """
    by_hash = sorted({drive: _place(drive) for drive in drives}.items(), key=lambda known: known[1])
    if share == 0 or len(by_hash) < 2:
        return set()
    kept = sum(place < share for _, place in by_hash)
    return {drive for drive, _ in by_hash[: min(max(kept, 1), len(by_hash) - 1)]}


def _place(drive: str) -> float:
    """Return a drive's place from 0 to 1."""
    return int.from_bytes(hashlib.sha256(f"validation/{drive}".encode()).digest()[:8], "big") / 2**64


def prepared_data(settings: TrainSettings, model: ReasoningVLA, accelerator: Accelerator) -> TrainingData:
    """Prepare the labels' scenes, where that is not done, and return their batches.

    Raises:
        AlpamayoError, DatasetError, CocLabelingError: labels, dataset or pictures that cannot be used.
    """
    scenes = _prepared(settings, model, accelerator)
    data, train = settings.data, settings.train
    indices, left_out = usable(scenes, data.components)
    if not indices:
        raise AlpamayoError(
            f"data.components={','.join(data.components)}: none of {len(scenes)} labels has a meta_action. Those of a "
            "run and of an export as sft-chat have them, where one begins at the keyframe; those as jsonl have none."
        )
    splits, drives = scenes.column("split"), scenes.column("drive")
    chosen = [index for index in indices if data.split is None or splits[index] == data.split]
    if not chosen:
        known = ", ".join(sorted({str(split) for split in splits}))
        raise AlpamayoError(f"data.split={data.split}: expected a split of the labels, which have: {known}.")
    kept = validation_drives((drives[index] for index in chosen), data.val_share)
    held = [index for index in chosen if drives[index] in kept]
    learnt = [index for index in chosen if drives[index] not in kept]
    collator = Collator(
        model.tokenizer,
        model.config,
        data.components,
        data.loss_components,
        for_expert=settings.stage is Stage.EXPERT,
    )

    def batches(own: Sequence[int], *, shuffle: bool) -> LoaderBatches:
        loader = data_loader(
            scenes,
            own,
            collator,
            train.batch_size,
            seed=train.seed,
            shuffle=shuffle,
            num_workers=data.num_workers,
        )
        return LoaderBatches(loader, accelerator)

    counts = {"train": len(learnt), "validation": len(held), "of another split": len(indices) - len(chosen), **left_out}
    return TrainingData(
        batches(learnt, shuffle=True),
        batches(held, shuffle=False) if held else None,
        counts,
        tuple(_notices(settings, held, {splits[index] for index in chosen}, left_out_of(data.prepared))),
    )


def _prepared(settings: TrainSettings, model: ReasoningVLA, accelerator: Accelerator) -> PreparedSet:
    data = settings.data
    if accelerator.is_main_process:
        prepare(
            PrepareRequest(
                labels=data.labels,
                out=data.prepared,
                dataset=None if data.data_dir is None else data.dataset,
                data_dir=data.data_dir,
                video_dir=data.video_dir,
                cameras=data.cameras,
                shape=SceneShape(frames=data.frames),
                size=frame_size(model.tokenizer),
                num_workers=max(1, data.num_workers),
            ),
            say,
        )
    accelerator.wait_for_everyone()
    return PreparedSet.open(data.prepared)


def _notices(
    settings: TrainSettings, held: Sequence[int], splits: set[str | None], lost: Counter[str]
) -> Iterator[str]:
    if lost:
        why = ", ".join(f"{count} {reason}" for reason, count in lost.most_common())
        named = files.join(settings.data.prepared, SUMMARY)
        yield f"{lost.total()} labels are not learnt from ({why}). Each is named in {named}"
    if settings.data.val_share and not held:
        yield "there is one drive only, and none for validation: no early stop, and the last checkpoint is taken."
    if settings.data.split is None and len(splits) > 1:
        said = ", ".join(sorted(str(split) for split in splits))
        yield f"labels of all splits are learnt from ({said}). For one: data.split=sft"
