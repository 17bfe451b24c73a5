from importlib.resources import files

import pytest
import yaml

from coc_labeling.config.loading import load_config
from coc_labeling.data_labeling import main
from coc_labeling.errors import CocLabelingError

SOURCE, REL_TS = "base_config_vlm", "base_config_vlm_rel_ts"
WINDOW = {"hist_length_sec": 2, "fut_length_sec": 6, "time_interval": 0.5, "fps": 10}

# docs/configuration.md, key by key: the defaults that both presets share.
DEFAULTS = {
    "mode": "vlm",
    "model_name": "qwen3.5_35b",
    "timeout_sec": 600,
    "save_prompt": "full",
    "resume_exp_dir": None,
    "server_ip": None,
    "job_split_id": None,
    "vlm_agent.agent_name": "VLMCoCAgent",
    "vlm_agent.temperature": 0.0,
    "vlm_agent.top_p": 1.0,
    "vlm_agent.repetition_penalty": 1.0,
    "vlm_agent.use_metaaction_check_pipeline": False,
    "data.dataset_name": "pai",
    **{f"data.{name}": None for name in ("data_dir", "cache_dir", "video_dir", "meta_action_dir")},
    "data.segment_list_parquet_file": None,
    "data.segment_config_dir": None,
    "data.wm_file_check": None,
    **{f"data.{name}_dir_root": None for name in ("meta_action", "video", "cache", "data")},
    **{
        f"data_loader.{section}.{name}": value
        for section in ("meta_action", "video", "vector")
        for name, value in WINDOW.items()
    },
    "data_loader.meta_action.num_total_frames": 200,
    "data_loader.meta_action.convert2text": True,
    "data_loader.meta_action.add_ts_prefix": True,
    "data_loader.meta_action.debug": False,
    "data_loader.video.event_start_from_source_fps": True,
    "data_loader.video.use_fpv": True,
    "data_loader.video.use_bev": False,
    "data_loader.video.cameras": ["camera_front_wide_120fov"],
    "data_loader.video.save_segment_videos": True,
    "data_loader.video.segment_video_output_dir": "./experiments/video_segment",
    "data_loader.video.segment_video_skip_existing": True,
    "data_loader.video.save_segment_videos_source_fps": True,
    "data_loader.video.save_segment_video_metadata": True,
    "data_loader.video.segment_video_web_compatible": True,
    "data_loader.video.segment_video_ffmpeg_bin": "ffmpeg",
    "data_loader.vector.trajdata.dataset": "clipgt",
    "data_loader.vector.trajdata.split": "all",
    "data_loader.vector.trajdata.num_workers": 128,
    "data_loader.vector.trajdata.max_agent_num": 50,
    "data_loader.vector.trajdata.radius": 50,
    "data_loader.keyframe.segment_list_parquet_clip_id_column": "clip_id",
    "data_loader.keyframe.segment_list_parquet_timestamp_column": "keyframe_range_start_timestamp",
    "data_loader.keyframe.meta_action_filter": None,
    "data_loader.keyframe.segment_filter_exclude": None,
    "data_loader.keyframe.segment_filter_include": None,
    "data_loader.keyframe.sft_timestamp_alignment_file": None,
    "data_loader.keyframe.round_event_start_frame_interval": 0,
    "data_loader.keyframe.deduplicate_segments": False,
    "data_loader.keyframe.filter_clip_missing_wm": False,
    **{f"verbose.verbose_{name}": True for name in ("prompt", "result", "speed", "data")},
}
OF_PRESET = {
    SOURCE: {
        "exp_name": "coc_labeling_test",
        "data.segment_config_path": None,
        "data_loader.keyframe.segment_generator_type": "parquet",
    },
    REL_TS: {
        "exp_name": "coc_labeling_test_rel_ts",
        "data.segment_config_path": "./experiments/keyframes/segments_relative_timestamp_sampled.json",
        "data_loader.keyframe.segment_generator_type": "json",
    },
}
# default.yaml alone, where the presets say otherwise.
OF_DATA_LOADER = {
    "data_loader.video.event_start_from_source_fps": False,
    "data_loader.video.save_segment_videos": False,
    "data_loader.video.segment_video_output_dir": None,
}
OURS = {
    *("num_workers", "shard", "strict", "output_root", "dry_run", "max_in_flight", "max_retries", "log_json"),
    *("max_total_tokens", "max_cost_usd", "prepare_memory_mb", "response_cache", "response_cache_dir"),
    *(f"vlm_agent.{key}" for key in ("structured_output", "seed", "max_tokens", "scene_facts")),
    "data.driving_side",
    *(f"openai_compatible.{key}" for key in ("base_url", "model", "api_key_env", "response_format")),
    *(f"openai_compatible.{key}" for key in ("token_parameter", "omit_parameters", "extra_body")),
    *("model_path", "vllm.tensor_parallel", "vllm.data_parallel", "vllm.max_num_seqs", "vllm.max_model_len"),
    "vllm.gpu_memory_utilization",
    *(f"price.{key}" for key in ("prompt", "response", "cached_prompt")),
    *("egress.allow_hosts", "egress.redactor"),
    *(f"data_loader.video.{key}" for key in ("jpeg_quality", "max_side", "max_pixels")),
}


def flat(content: dict, prefix: str = "") -> dict:
    keys = {}
    for name, value in content.items():
        keys |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return keys


def composed(preset: str, *overrides: str, **options) -> dict:
    return flat(load_config(preset, overrides, **options).model_dump())


def own_preset(folder, text: str):
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(text)
    return str(folder)


@pytest.mark.parametrize("preset", [SOURCE, REL_TS])
def test_every_documented_key_has_its_documented_default(preset):
    keys = composed(preset)
    expected = DEFAULTS | OF_PRESET[preset]
    assert {key: keys.get(key, "missing") for key in expected} == expected


@pytest.mark.parametrize("preset", [SOURCE, REL_TS])
def test_the_only_other_keys_are_ours(preset):
    assert set(composed(preset)) - set(DEFAULTS) - set(OF_PRESET[preset]) == OURS


def test_the_data_loader_s_own_file_has_its_documented_defaults():
    own = yaml.safe_load(files("coc_labeling.config").joinpath("data_loader/default.yaml").read_text())
    keys = flat({"data_loader": own})
    assert {key: keys[key] for key in OF_DATA_LOADER} == OF_DATA_LOADER


def test_the_overrides_of_the_readme_work():
    keys = composed(
        REL_TS,
        "model_name=qwen3.5_35b",
        "resume_exp_dir=null",
        "exp_name=qwen3.5_35b_test",
        "data_loader.keyframe.meta_action_filter=[go_straight]",
        "data_loader.video.save_segment_videos=false",
    )
    assert keys["exp_name"] == "qwen3.5_35b_test"
    assert keys["data_loader.keyframe.meta_action_filter"] == ["go_straight"]
    assert keys["data_loader.video.save_segment_videos"] is False


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("data_loader.keyframe.meta_action_filter=null", "data_loader.keyframe.meta_action_filter", None),
        ("vlm_agent.temperature=0.7", "vlm_agent.temperature", 0.7),
        ("data.data_dir=/a/b", "data.data_dir", "/a/b"),
        ("data.data_dir='/a b/c=d'", "data.data_dir", "/a b/c=d"),
        ("data=base", "data.segment_config_path", None),
        (
            "data.segment_list_parquet_file=[a.parquet,b.parquet]",
            "data.segment_list_parquet_file",
            ["a.parquet", "b.parquet"],
        ),
        ("shard=1/4", "shard", "1/4"),
    ],
)
def test_other_overrides_work_too(override, key, value):
    assert composed(REL_TS, override)[key] == value


@pytest.mark.parametrize(
    ("override", "suggestion", "possible"),
    [
        ("modelname=rules", "Did you mean model_name", "exp_name"),
        ("data.datadir=/a", "Did you mean data.data_dir", "data.meta_action_dir"),
        ("data_loader.keyframe.meta_action_filtr=[stop]", "meta_action_filter", "deduplicate_segments"),
        ("dta.data_dir=/a", "Did you mean data.data_dir", "data_loader"),
    ],
)
def test_a_typo_is_answered_with_a_suggestion_and_the_possible_keys(override, suggestion, possible):
    with pytest.raises(CocLabelingError) as caught:
        load_config(REL_TS, [override])
    message = str(caught.value)
    assert message.startswith(f"unknown configuration key {override.split('=')[0]!r}")
    assert suggestion in message
    assert possible in message.split("Possible keys: ")[1]


def test_a_key_that_does_not_exist_cannot_be_added():
    with pytest.raises(CocLabelingError, match="foo"):
        load_config(REL_TS, ["+foo=1"])


def test_all_typos_are_told_at_once():
    with pytest.raises(CocLabelingError, match=r"(?s)modelname.*expname"):
        load_config(REL_TS, ["modelname=rules", "expname=a"])


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("timeout_sec=abc", "timeout_sec='abc'"),
        ("num_workers=-3", "num_workers=-3"),
        ("exp_name=a/b", "exp_name='a/b'"),
        ("shard=4/3", "shard='4/3'"),
        ("data_loader.video.cameras=[]", "data_loader.video.cameras=[]"),
        ("data_loader.video.fut_length_sec=21", "data_loader.video.fut_length_sec=21"),
        ("data_loader.keyframe.segment_generator_type=xml", "data_loader.keyframe.segment_generator_type='xml'"),
        ("data_loader.keyframe.meta_action_filter=go_straight", "data_loader.keyframe.meta_action_filter"),
        ("data_loader.keyframe.round_event_start_frame_interval=-1", "round_event_start_frame_interval=-1"),
        ("vlm_agent.temperature=-1", "vlm_agent.temperature=-1"),
        ("data.data_dir=[a]", "data.data_dir=['a']"),
        ("strict=maybe", "strict='maybe'"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(override, named):
    with pytest.raises(CocLabelingError) as caught:
        load_config(REL_TS, [override])
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "override", ["nonsense", "data_loader.keyframe.meta_action_filter=[go_straight", "data.data_dir=/a b/c=d", "=5"]
)
def test_an_override_that_cannot_be_read_is_quoted(override):
    with pytest.raises(CocLabelingError) as caught:
        load_config(REL_TS, ["model_name=rules", override])
    assert override in str(caught.value)


def test_a_section_that_is_taken_away_is_named_and_not_printed_whole():
    with pytest.raises(CocLabelingError, match="data") as caught:
        load_config(REL_TS, ["~data"])
    assert len(str(caught.value)) < 500


def test_an_unknown_choice_of_a_section_lists_those_there_are():
    with pytest.raises(CocLabelingError, match="base keyframe_rel_ts"):
        load_config(REL_TS, ["data=nope"])


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(CocLabelingError, match="There are: base_config_vlm, base_config_vlm_rel_ts"):
        load_config("nope", [])


def test_a_preset_may_be_named_with_its_ending():
    assert composed(f"{REL_TS}.yaml") == composed(REL_TS)


def test_a_user_s_own_preset_builds_on_ours(tmp_path):
    folder = own_preset(
        tmp_path / "own",
        "hydra:\n  searchpath: [pkg://coc_labeling.config]\n"
        "defaults: [base_config_vlm_rel_ts, _self_]\nexp_name: mine\ndata: {data_dir: /my/drives}\n",
    )
    keys = composed("mine", "model_name=rules", config_dir=folder)
    assert (keys["exp_name"], keys["data.data_dir"], keys["model_name"]) == ("mine", "/my/drives", "rules")
    assert keys["data_loader.keyframe.segment_generator_type"] == "json"


def test_a_user_s_own_preset_needs_no_search_path(tmp_path):
    folder = own_preset(tmp_path / "own", "defaults: [base_config_vlm_rel_ts, _self_]\nexp_name: mine\n")
    assert composed("mine", config_dir=folder)["exp_name"] == "mine"


def test_our_presets_are_there_beside_the_user_s_own(tmp_path):
    folder = own_preset(tmp_path / "own", "exp_name: mine\n")
    assert composed(REL_TS, config_dir=folder) == composed(REL_TS)


def test_a_config_dir_that_is_not_there_is_named():
    with pytest.raises(CocLabelingError, match="/nowhere: no such folder"):
        load_config(REL_TS, [], "/nowhere")


def test_the_composed_configuration_is_printed_and_can_be_read_back(capsys):
    assert main(["--cfg", "job", "model_name=rules", "data.data_dir=/a"]) == 0
    printed = flat(yaml.safe_load(capsys.readouterr().out))
    assert printed == composed(REL_TS, "model_name=rules", "data.data_dir=/a")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("openai_compatible.api_key_env=sk-very-secret", "the name of an environment variable, not the key itself"),
        ("openai_compatible.extra_body={api_key: sk-very-secret}", "must hold no secret"),
        ("data_loader.video.cameras=[front,front]", "names of cameras, each once"),
        ("data_loader.video.time_interval=10", "has no sample every 10.0 s"),
    ],
)
def test_values_that_cannot_work_are_refused_and_secrets_are_not_repeated(override, message):
    with pytest.raises(CocLabelingError, match=message) as caught:
        load_config(REL_TS, [override])
    assert "sk-very-secret" not in str(caught.value)
