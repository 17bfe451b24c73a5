"""The reasoning model as a wrapper of Step 3: ``model_name=alpamayo_r1 model_path=CHECKPOINT``, inside this process.

Requests that wait while the model works are answered together as one batch.
"""

import asyncio
import base64
import io
import json
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel

from alpamayo_r1 import extras
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.infer.predictor import load_predictor
from alpamayo_r1.infer.request import MODEL_NAME, SamplingOptions, checkpoint_identity, scene_seed
from alpamayo_r1.infer.results import Prediction
from alpamayo_r1.infer.run import Predictor
from alpamayo_r1.scenes import EgoPath, Scene
from alpamayo_r1.trace_labels import HISTORY_ROT, HISTORY_XYZ, ReasoningTraceAgent
from coc_labeling.asking import request_hash
from coc_labeling.model_clients.errors import ModelError, ModelUnusable
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper, ModelSettings
from coc_labeling.pictures.ink import pillow
from driving_clips import files
from driving_clips.errors import DatasetError

BATCH = 4  # scenes at once


class AlpamayoWrapper(BaseWrapper):
    """The reasoning model inside this process.

    Attributes:
        agent: who labels with it.
        takes_model_path: it does, and needs it: the checkpoint's folder.
    """

    agent: ClassVar[type[ReasoningTraceAgent]] = ReasoningTraceAgent
    takes_model_path = True
    preferred_in_flight = 2 * BATCH
    _revision = ""
    _worker: "BatchWorker | None" = None

    def configure(self, settings: ModelSettings) -> None:
        """Take settings; raises ModelUnusable without the checkpoint's folder, or what the model needs to run."""
        super().configure(settings)
        path = settings.local.model_path
        if path is None:
            raise ModelUnusable(
                f"model_name={MODEL_NAME} runs here and needs its checkpoint: model_path=/path/to/checkpoint."
            )
        try:
            extras.require()
            self._revision = checkpoint_identity(path)
        except (AlpamayoError, DatasetError) as error:
            raise ModelUnusable(str(error)) from error
        self.model_id = files.base_name(files.absolute(path))
        self._worker = BatchWorker(lambda: load_predictor(path))

    def describe(self) -> dict[str, Any]:
        """Return provider and model; nothing is sent anywhere."""
        return {"provider": MODEL_NAME, "base_urls": [], "model": self.model_id, "revision": self._revision}

    async def send(
        self, body: dict[str, Any], json_schema: type[BaseModel] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        """Return the reasoning to one request of ``ReasoningTraceAgent``.

        Raises:
            ModelUnusable: the model cannot be loaded.
            ModelError: no such request, or the model failed on it.
        """
        self._stop.check()
        if self._worker is None:
            raise ModelUnusable(f"model_name={MODEL_NAME}: it was not configured.")
        scene = await asyncio.to_thread(scene_of, body)
        seed = scene_seed(request_hash(body), 0, int(body["seed"]))
        prediction = await asyncio.wrap_future(self._worker.submit(Job(scene, sampling_of(body), seed)))
        text, stopped = prediction.cot[0][0], prediction.stopped[0][0]
        return {
            "finish_reason": "stop" if stopped else "length",
            "content": text,
            "text": text,
            "prompt_tokens": 0,
            "response_tokens": 0,
            "reasoning_tokens": 0,
            "cached_tokens": 0,
            "system_fingerprint": self._revision,
            "model": self.model_id,
        }

    async def aclose(self) -> None:
        """End the thread that the model runs in."""
        if self._worker is not None:
            self._worker.close()
        await super().aclose()


def sampling_of(body: dict[str, Any]) -> SamplingOptions:
    """Return how a request asks for its reasoning; a temperature of 0 means the likeliest words."""
    greedy = float(body["temperature"]) == 0.0
    return SamplingOptions(
        num_traj_samples=1,
        top_p=float(body["top_p"]),
        top_k=1 if greedy else None,
        temperature=1.0 if greedy else float(body["temperature"]),
        max_generation_length=int(body["max_tokens"]),
    )


def scene_of(body: dict[str, Any]) -> Scene:
    """Return the scene that a request is about.

    Raises:
        ModelError: it is none of ``ReasoningTraceAgent``.
    """
    parts = [part for message in body["messages"] for part in message["content"]]
    try:
        texts = [part["text"] for part in parts if part["type"] == "text"]
        history = json.loads(texts[-1])
        frames = np.stack([_picture(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"])
        xyz, rot = (np.array(history[name], np.float64) for name in (HISTORY_XYZ, HISTORY_ROT))
        path = EgoPath(xyz.reshape(-1, 3), rot.reshape(-1, 3, 3), np.zeros((0, 3)), np.zeros((0, 3, 3)))
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ModelError(f"model_name={MODEL_NAME}: expected frames of one size and a history ({error!r}).") from error
    return Scene("request", 0, ("all",), (frames,), np.zeros((1, len(frames)), np.int64), path)


def _picture(uri: str) -> np.ndarray:
    with pillow().Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


class Job(NamedTuple):
    """One scene to be predicted."""

    scene: Scene
    sampling: SamplingOptions
    seed: int


@dataclass
class BatchWorker:
    """A thread in which the model is loaded, once there is something to do, and works on what waits for it.

    Attributes:
        load: loads the model.
    """

    load: Callable[[], Predictor]

    def __post_init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Job, Future[Prediction]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, job: Job) -> "Future[Prediction]":
        """Return what will hold the prediction of a scene."""
        future: Future[Prediction] = Future()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=MODEL_NAME, daemon=True)
                self._thread.start()
        self._waiting.put((job, future))
        return future

    def close(self) -> None:
        """End the thread, after what it is working on."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _work(self) -> None:
        predictor: Predictor | None = None
        problem: ModelUnusable | None = None
        ended = False
        while not ended and (first := self._waiting.get()) is not None:
            batch, ended = self._with_those_that_wait(first)
            if predictor is None and problem is None:
                try:
                    predictor = self.load()
                except Exception as error:  # noqa: BLE001 - whoever waits is told
                    said = f"model_name={MODEL_NAME}: cannot be loaded: {type(error).__name__}: {error}"
                    problem = ModelUnusable(said)
            if predictor is not None:
                answer(predictor, batch)
                continue
            for _, future in batch:
                future.set_exception(problem)

    def _with_those_that_wait(
        self, first: tuple[Job, "Future[Prediction]"]
    ) -> tuple[list[tuple[Job, "Future[Prediction]"]], bool]:
        """Return a batch, and whether nothing follows it."""
        batch = [first]
        while len(batch) < BATCH and not self._waiting.empty():
            following = self._waiting.get()
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False


def answer(predictor: Predictor, batch: list[tuple[Job, "Future[Prediction]"]]) -> None:
    """Predict a batch; where it fails as a whole, each scene for itself."""
    jobs = [job for job, _ in batch]
    try:
        predictions = predictor.predict([job.scene for job in jobs], jobs[0].sampling, [job.seed for job in jobs])
    except Exception as error:  # noqa: BLE001 - whoever waits is told
        if len(batch) > 1:
            for one in batch:
                answer(predictor, [one])
            return
        batch[0][1].set_exception(ModelError(f"model_name={MODEL_NAME}: {type(error).__name__}: {error}"))
        return
    for (_, future), prediction in zip(batch, predictions, strict=True):
        future.set_result(prediction)
