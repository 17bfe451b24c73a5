"""The configuration of Step 3, typed: what each key may hold. The keys' meaning is in ``docs/configuration.md``."""

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from batch_runs.shards import parse_shard


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class VlmAgentConfig(_Section):
    """The agent that asks a vision-language model."""

    agent_name: str
    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    repetition_penalty: float = Field(gt=0)
    use_metaaction_check_pipeline: bool
    structured_output: bool
    scene_facts: bool
    seed: int
    max_tokens: int = Field(ge=16)


_CAMERA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"(?:^|[_-])(?:api_?key|secret|password|authorization|auth_token|access_token)$", re.IGNORECASE)


class OpenAICompatibleConfig(_Section):
    """The server behind ``model_name=openai_compatible``."""

    base_url: str | None
    model: str | None
    api_key_env: str | None
    response_format: Literal["json_schema", "json_object", "text"]
    token_parameter: Literal["max_tokens", "max_completion_tokens"] | None
    omit_parameters: list[str]
    extra_body: dict[str, Any] | None

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("expected the name of an environment variable, not the key itself")
        return value

    @field_validator("extra_body")
    @classmethod
    def _holds_no_secret(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if any(_SECRET.search(str(key)) for key in value or {}):
            raise ValueError(
                "it is kept with the run and must hold no secret; give a key by openai_compatible.api_key_env"
            )
        return value


class VllmConfig(_Section):
    """How a Qwen model runs inside this process."""

    tensor_parallel: int | None = Field(ge=1)
    data_parallel: int | None = Field(ge=1)
    max_num_seqs: int | None = Field(ge=1)
    max_model_len: int = Field(ge=1024)
    gpu_memory_utilization: float | None = Field(gt=0, le=1)


class PriceConfig(_Section):
    """USD per million tokens."""

    prompt: float | None = Field(ge=0)
    response: float | None = Field(ge=0)
    cached_prompt: float | None = Field(ge=0)


class EgressConfig(_Section):
    """What may leave the machine, and for where."""

    allow_hosts: list[str]
    redactor: str | None


class DataConfig(_Section):
    """Where the inputs lie."""

    dataset_name: str
    driving_side: Literal["auto", "left", "right"]
    data_dir: str | None
    cache_dir: str | None
    video_dir: str | None
    meta_action_dir: str | None
    segment_config_path: str | None
    segment_list_parquet_file: str | list[str] | None
    segment_config_dir: str | None
    wm_file_check: str | None
    meta_action_dir_root: str | None
    video_dir_root: str | None
    cache_dir_root: str | None
    data_dir_root: str | None


class _WindowConfig(_Section):
    hist_length_sec: float = Field(ge=0, le=20)
    fut_length_sec: float = Field(ge=0, le=20)
    time_interval: float = Field(ge=0.05, le=20)
    fps: float = Field(gt=0)

    @model_validator(mode="after")
    def _samples_something(self) -> Self:
        if self.hist_length_sec < self.time_interval and self.fut_length_sec < self.time_interval:
            raise ValueError(
                f"a window of {self.hist_length_sec} s before and {self.fut_length_sec} s after the keyframe has no "
                f"sample every {self.time_interval} s; make time_interval smaller"
            )
        return self


class MetaActionConfig(_WindowConfig):
    """How meta-actions are shown to a model."""

    num_total_frames: int
    convert2text: bool
    add_ts_prefix: bool
    debug: bool


class VideoConfig(_WindowConfig):
    """Which frames are taken, and what is saved of them."""

    event_start_from_source_fps: bool
    use_fpv: bool
    use_bev: bool
    cameras: list[str] = Field(min_length=1)
    jpeg_quality: int = Field(ge=1, le=95)
    max_side: int | None = Field(ge=16)
    max_pixels: int | None = Field(ge=256)
    save_segment_videos: bool
    segment_video_output_dir: str | None
    segment_video_skip_existing: bool
    save_segment_videos_source_fps: bool
    save_segment_video_metadata: bool
    segment_video_web_compatible: bool
    segment_video_ffmpeg_bin: str

    @field_validator("cameras")
    @classmethod
    def _are_cameras(cls, value: list[str]) -> list[str]:
        wrong = [name for name in value if not _CAMERA.fullmatch(name)]
        if wrong or len(set(value)) < len(value):
            raise ValueError("expected names of cameras, each once, such as camera_front_wide_120fov")
        return value


class VectorConfig(_WindowConfig):
    """Ego and agents as vectors; ``trajdata`` is accepted for the released tool's sake."""

    trajdata: dict[str, Any]


class KeyframeConfig(_Section):
    """Which keyframes are labelled."""

    segment_generator_type: Literal["json", "parquet"]
    segment_list_parquet_clip_id_column: str | list[str | list[str]]
    segment_list_parquet_timestamp_column: str | list[str | list[str]]
    meta_action_filter: list[str] | None
    segment_filter_exclude: list[str] | None
    segment_filter_include: list[str] | None
    sft_timestamp_alignment_file: str | None
    round_event_start_frame_interval: int = Field(ge=0)
    deduplicate_segments: bool
    filter_clip_missing_wm: bool


class DataLoaderConfig(_Section):
    """Everything around one keyframe."""

    meta_action: MetaActionConfig
    video: VideoConfig
    vector: VectorConfig
    keyframe: KeyframeConfig


class VerboseConfig(_Section):
    """What is told while labelling."""

    verbose_prompt: bool
    verbose_result: bool
    verbose_speed: bool
    verbose_data: bool


class RunConfig(_Section):
    """The whole configuration of ``coc_labeling.data_labeling``."""

    mode: Literal["vlm"]
    model_name: str
    timeout_sec: float = Field(gt=0)
    save_prompt: Literal["full", "reference"]
    exp_name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    resume_exp_dir: str | None
    num_workers: int = Field(ge=1)
    shard: str | None
    strict: bool
    output_root: str
    dry_run: bool
    max_in_flight: int | None = Field(ge=1)
    max_retries: int = Field(ge=0)
    max_total_tokens: int | None = Field(ge=1)
    max_cost_usd: float | None = Field(gt=0)
    prepare_memory_mb: int = Field(ge=1)
    response_cache: bool
    response_cache_dir: str | None
    log_json: bool
    openai_compatible: OpenAICompatibleConfig
    model_path: str | None
    vllm: VllmConfig
    price: PriceConfig
    egress: EgressConfig
    server_ip: str | list[str] | None
    job_split_id: str | None
    vlm_agent: VlmAgentConfig
    data: DataConfig
    data_loader: DataLoaderConfig
    verbose: VerboseConfig

    @field_validator("shard")
    @classmethod
    def _is_shard(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_shard(value)
            except Exception as error:
                raise ValueError(str(error)) from error
        return value
