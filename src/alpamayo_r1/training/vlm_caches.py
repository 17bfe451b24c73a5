"""What the frozen model has read of scenes, kept in main memory: stage 2 then reads each scene once, not once an epoch.

Each scene is read alone, so that what is kept does not depend on the batch in which it came first.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.models.context import Context

_POSES = ("ego_history_xyz", "ego_history_rot")
Key = tuple[str, int, str]


class VlmCaches:
    """Contexts by scene, as many as there is memory for; none is dropped again, as every epoch needs all of them.

    Attributes:
        limit: in bytes.
        used: bytes.
        found, read: how many rows were there, and how many had to be read.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = self.found = self.read = 0
        self._kept: dict[Key, Context] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def context_of(self, model: AlpamayoR1, batch: Mapping[str, Any]) -> Context:
        """Return what the model has read of a batch's rows; "names" tells which scenes they are."""
        rows = rows_of(batch["tokenized_data"], model)
        return Context.join(
            [
                self._context(model, row, {name: batch[name][place : place + 1] for name in _POSES}, *scene)
                for place, (row, scene) in enumerate(zip(rows, batch["names"], strict=True))
            ]
        )

    def _context(
        self, model: AlpamayoR1, row: dict[str, Tensor], poses: dict[str, Tensor], clip_id: str, t0_us: int
    ) -> Context:
        key = (clip_id, t0_us, hashlib.sha256(row["input_ids"].cpu().numpy().tobytes()).hexdigest())
        kept = self._kept.get(key)
        if kept is not None:
            self.found += 1
            return kept.to(model.device)
        self.read += 1
        context = model.read_context({"tokenized_data": row, **poses})
        if self.used + context.bytes <= self.limit:
            self._kept[key] = context.to("cpu")
            self.used += context.bytes
        return context


def rows_of(tokenized: Mapping[str, Tensor], model: AlpamayoR1) -> Iterator[dict[str, Tensor]]:
    """Yield each row of a batch without its padding, with the pictures that are its own."""
    ids, mask = tokenized["input_ids"], tokenized["attention_mask"].bool()
    grid, pixels = tokenized.get("image_grid_thw"), tokenized.get("pixel_values")
    types = tokenized.get("mm_token_type_ids")
    merged = int(model.vlm.config.vision_config.spatial_merge_size) ** 2
    image = patch = 0
    for row in range(len(ids)):
        own = {"input_ids": ids[row][mask[row]][None]}
        own["attention_mask"] = own["input_ids"].new_ones(own["input_ids"].shape)
        if types is not None:
            own["mm_token_type_ids"] = types[row][mask[row]][None]
        patches = int((own["input_ids"] == model.vlm.config.image_token_id).sum()) * merged
        if patches and grid is not None and pixels is not None:
            first = image
            taken = 0
            while taken < patches and image < len(grid):
                taken += int(grid[image].prod())
                image += 1
            own |= {"image_grid_thw": grid[first:image], "pixel_values": pixels[patch : patch + taken]}
            patch += taken
        yield own
