"""The vision-language model writes: one prefill for all samples of a scene, then token by token.

transformers' ``generate`` repeats each prompt, pictures included, for every sample, and hides what the cache holds of
rows that end early. Here the prompt goes through the model once, its cache is repeated, and each row's end is known.
Random numbers are drawn as ``generate`` draws them: one ``torch.multinomial`` over all rows for each token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import LogitsProcessor, LogitsProcessorList, Qwen3VLForConditionalGeneration
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from alpamayo_r1.counts import is_count
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.attention import can_share, sharing
from alpamayo_r1.models.cache import GrowingCache
from alpamayo_r1.models.randomness import Randomness, SharedStream
from alpamayo_r1.models.token_utils import StopAfterEOS, first_index

_LEAST_LENGTH = 2  # the end token and the one after it


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        top_p: nucleus sampling: the likeliest tokens that together have this probability are kept.
        top_k: how many of the likeliest tokens are kept; None for all.
        temperature: divides the logits.
        max_length: tokens written at most.
    """

    top_p: float
    top_k: int | None
    temperature: float
    max_length: int

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise AlpamayoError(f"top_p: expected a probability above 0, at most 1, found {self.top_p!r}.")
        if self.top_k is not None and not is_count(self.top_k, 1):
            raise AlpamayoError(f"top_k: expected a number from 1, or None for all tokens, found {self.top_k!r}.")
        if not 0 < self.temperature < float("inf"):
            raise AlpamayoError(
                f"temperature: expected a number above 0, found {self.temperature!r}. For the likeliest token: top_k=1."
            )
        if not is_count(self.max_length, _LEAST_LENGTH):
            raise AlpamayoError(
                f"max_generation_length: expected at least {_LEAST_LENGTH}, the token that ends the reasoning and one "
                f"after it, found {self.max_length!r}."
            )

    def processors(self) -> LogitsProcessorList:
        """Return what is done to logits before a token is drawn, in transformers' order."""
        warpers = LogitsProcessorList([TemperatureLogitsWarper(float(self.temperature))])
        if self.top_k is not None:
            warpers.append(TopKLogitsWarper(int(self.top_k)))
        if self.top_p < 1:
            warpers.append(TopPLogitsWarper(self.top_p))
        return warpers


@dataclass(frozen=True)
class Prompt:
    """Scenes' prompts, padded on the left.

    Attributes:
        input_ids: (B, L) int64.
        attention_mask: (B, L) int64, 0 on padding.
        position_ids: (3, B, L) int64: temporal, height, width.
        rope_deltas: (B, 1) int64: what later positions are ahead of the count of a row's own tokens.
        vision: pixel values and grids of all rows, for the model.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    rope_deltas: Tensor
    vision: dict[str, Tensor]

    @property
    def length(self) -> int:
        """Columns, padding included."""
        return int(self.input_ids.shape[1])

    @property
    def next_position(self) -> Tensor:
        """The position (B,) after each prompt: its own tokens counted, not the padding."""
        return self.attention_mask.sum(dim=1) + self.rope_deltas[:, 0]


@dataclass(frozen=True)
class Written:
    """What was written for R rows: the scenes' samples, those of one scene together.

    Attributes:
        token_ids: (R, L + n): prompts and what follows; padding after each row's end.
        stopped: (R,) bool: whether the row wrote its end token.
        cache: of L + n - 1 or L + n columns.
        open_columns: (R, columns of the cache) bool: the row's own tokens, up to and with the one that ended it; in one
            that was cut off, all of them.
        next_position: (R,) int64: the position after those, as the language model counts.
    """

    token_ids: Tensor
    stopped: Tensor
    cache: GrowingCache
    open_columns: Tensor
    next_position: Tensor


@dataclass
class _Rows:
    """Rows that are being written.

    Attributes:
        token_ids: (R, L + n) prompts and what was drawn.
        cache: of all but the last column, once that was drawn.
        mask: (R, L + most) int64: 0 on the prompts' padding.
        start: (R, 1) int64: the position of the first token after the prompt.
        prompt_length: L.
    """

    token_ids: Tensor
    cache: GrowingCache
    mask: Tensor
    start: Tensor
    prompt_length: int


class Writer:
    """Writes rows with a vision-language model."""

    def __init__(
        self,
        vlm: Qwen3VLForConditionalGeneration,
        end_token_id: int,
        turn_end_ids: tuple[int, ...],
        pad_token_id: int,
        spare_columns: int = 0,
        randomness: Randomness | None = None,
    ) -> None:
        """Write with ``vlm`` until one token after ``end_token_id``, or until one of ``turn_end_ids``.

        The latter end the assistant's turn, and so a row that has not written its end token. ``spare_columns`` of the
        cache are left for who reads it. Tokens are drawn from ``randomness``, or else from torch's own generator.
        """
        self._vlm = vlm
        self._stop = StopAfterEOS(end_token_id)
        self._turn_ends = torch.tensor(turn_end_ids, dtype=torch.int64, device=vlm.device)
        self._pad_token_id = pad_token_id
        self._spare_columns = spare_columns
        self._randomness = randomness or SharedStream()

    def write(self, prompt: Prompt, samples: int, processor: LogitsProcessor, max_length: int) -> Written:
        """Write ``samples`` continuations of each prompt, of at most ``max_length`` tokens.

        Tokens are drawn from the logits that ``processor`` leaves.
        """
        logits, cache = self._prefill(prompt)
        shares = samples > 1 and can_share(self._vlm.config.text_config)
        room = prompt.length + max_length + self._spare_columns
        (cache.share if shares else cache.spread)(samples, room)
        logits = logits.repeat_interleave(samples, dim=0)
        rows = _Rows(
            token_ids=prompt.input_ids.repeat_interleave(samples, dim=0),
            cache=cache,
            mask=pad(prompt.attention_mask, (0, max_length), value=1).repeat_interleave(samples, dim=0),
            start=prompt.next_position.repeat_interleave(samples, dim=0)[:, None],
            prompt_length=prompt.length,
        )
        ended = torch.zeros(len(rows.token_ids), dtype=torch.bool, device=logits.device)
        for step in range(max_length):
            if step:
                logits = self._read_last(rows)
            _check_finite(logits, step)
            drawn = self._randomness.tokens(processor(rows.token_ids, logits).softmax(dim=-1))
            drawn = drawn.masked_fill(ended, self._pad_token_id)
            rows.token_ids = torch.cat([rows.token_ids, drawn[:, None]], dim=1)
            ended = ended | self._stop(rows.token_ids) | torch.isin(drawn, self._turn_ends)
            if bool(ended.all()):
                break
        finished = self._finished(rows)
        if shares:
            cache.part(room)
        return finished

    def _prefill(self, prompt: Prompt) -> tuple[Tensor, GrowingCache]:
        """Return the logits (B, V) float32 after each prompt, and its cache."""
        cache = GrowingCache(self._vlm.config.text_config.num_hidden_layers, prompt.length)
        output = self._vlm(
            input_ids=prompt.input_ids,
            attention_mask=prompt.attention_mask,
            position_ids=prompt.position_ids,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **prompt.vision,
        )
        return output.logits[:, -1].float(), cache

    def _read_last(self, rows: _Rows) -> Tensor:
        """Read the last token of each row, and return the logits (R, V) float32 of the next one."""
        read = rows.cache.get_seq_length()
        with sharing(rows.cache):
            output = self._vlm(
                input_ids=rows.token_ids[:, read:],
                attention_mask=rows.mask[:, : read + 1],
                position_ids=(rows.start + read - rows.prompt_length).expand(3, -1, -1),
                past_key_values=rows.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1].float()

    def _finished(self, rows: _Rows) -> Written:
        """Find each row's end; where that is the token drawn last, or there is none, let the model read that token."""
        length = rows.token_ids.shape[1]
        assert rows.cache.get_seq_length() == length - 1, "one token was drawn since the last was read"
        columns = torch.arange(length, device=rows.mask.device)
        # The prompt may itself end with the end token; one further back is no end.
        stops = (rows.token_ids == self._stop.eos_token_id) & (columns >= rows.prompt_length - 1)
        turn_ends = torch.isin(rows.token_ids, self._turn_ends) & (columns >= rows.prompt_length)
        last = first_index(stops | turn_ends, length)
        if bool((last >= length - 1).any()):
            self._read_last(rows)
        read = torch.where(last < length, last + 1, length)
        own = (rows.mask[:, :length] == 1) & (columns < read[:, None])
        drawn = (read - rows.prompt_length)[:, None]
        return Written(
            token_ids=rows.token_ids.masked_fill(columns > last[:, None], self._pad_token_id),
            stopped=(stops & (columns == last[:, None])).any(dim=1),
            cache=rows.cache,
            open_columns=own[:, : rows.cache.get_seq_length()],
            next_position=(rows.start + drawn)[:, 0],
        )


def _check_finite(logits: Tensor, step: int) -> None:
    if bool(logits.isnan().any()):  # drawing from it would stop a GPU for good
        raise AlpamayoError(
            f"the language model gives NaN for token {step + 1} of what it writes. Its weights are damaged, or the "
            "data type is too narrow for them: try dtype=float32."
        )
