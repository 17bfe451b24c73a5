"""Checkpoints: what loads, what is refused, and that nothing is fetched."""

import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoTokenizer

from alpamayo_r1.config import AlpamayoR1Config
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models import loading
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.models.base_model import ReasoningVLA, ReasoningVLAConfig
from alpamayo_r1.models.checkpoint_files import WEIGHTS, WEIGHTS_INDEX
from golden_model import GOLDEN, needs_golden
from tiny_model import BASE, SceneSpec, base_tokenizer, data_of, tiny_config, tiny_model, write_base


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Nothing here may look anything up: the test that does fails."""
    tried = []

    def refuse(*arguments, **_):
        tried.append(arguments)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert not tried


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(write_base(tmp_path_factory.mktemp("base") / BASE))


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "checkpoint"
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "checkpoint"))


def rewrite(folder: Path, **changes) -> dict:
    """Change config.json; None removes a key."""
    path = folder / "config.json"
    content = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return content


def assert_same(first: AlpamayoR1, second: AlpamayoR1) -> None:
    own, other = first.state_dict(), second.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


class TestRoundTrip:
    def test_equal_and_in_evaluation_mode(self, model, saved):
        loaded = AlpamayoR1.from_pretrained(saved)
        assert_same(model, loaded)
        assert not loaded.training
        data = data_of(model, SceneSpec())
        results = []
        for one in (model, loaded):
            torch.manual_seed(3)
            results.append(one.sample_trajectories_from_data_with_vlm_rollout(data, num_traj_samples=2))
        assert torch.equal(results[0][0], results[1][0])
        again = data_of(loaded, SceneSpec())["tokenized_data"]
        assert all(torch.equal(again[key], data["tokenized_data"][key]) for key in again)

    def test_sharded(self, model, tmp_path):
        model.save_pretrained(tmp_path, max_shard_size="200KB")
        assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
        assert_same(model, AlpamayoR1.from_pretrained(str(tmp_path)))

    def test_needs_nothing_else(self, copy):
        assert not (copy.parent / BASE).exists()
        AlpamayoR1.from_pretrained(copy)

    def test_auto_classes(self, saved):
        assert type(AutoConfig.from_pretrained(saved)) is AlpamayoR1Config
        assert type(AutoModel.from_pretrained(saved)) is AlpamayoR1
        assert AutoConfig.for_model("alpamayo_reasoning_vla").__class__ is ReasoningVLAConfig

    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    def test_attention_survives(self, copy, attention, tmp_path):
        loaded = AlpamayoR1.from_pretrained(copy, attn_implementation=attention)
        loaded.save_pretrained(tmp_path / "again")
        again = AlpamayoR1.from_pretrained(tmp_path / "again")
        for part in (again, again.vlm, again.vlm.model.language_model, again.vlm.model.visual, again.expert):
            assert part.config._attn_implementation == attention
        assert again.config.attn_implementation == attention

    def test_attention_that_was_changed_survives(self, copy, tmp_path):
        loaded = AlpamayoR1.from_pretrained(copy, attn_implementation="sdpa")
        loaded.set_attn_implementation("eager")
        loaded.save_pretrained(tmp_path / "again")
        again = AlpamayoR1.from_pretrained(tmp_path / "again")
        for part in (again, again.vlm.model.language_model, again.expert):
            assert part.config._attn_implementation == "eager"

    def test_flash_attention_where_it_is_not_installed(self, copy, tmp_path):
        rewrite(copy, attn_implementation="flash_attention_2")
        loaded = AlpamayoR1.from_pretrained(copy)
        assert loaded.vlm.config._attn_implementation == "sdpa"
        loaded.save_pretrained(tmp_path / "again")
        assert (
            json.loads((tmp_path / "again" / "config.json").read_text())["attn_implementation"] == "flash_attention_2"
        )
        with pytest.raises(AlpamayoError, match="pip install flash-attn"):
            AlpamayoR1.from_pretrained(copy, attn_implementation="flash_attention_2")

    @pytest.mark.parametrize(
        ("settings", "arguments", "expected"),
        [
            ({}, {}, torch.float32),
            ({}, {"dtype": torch.bfloat16}, torch.bfloat16),
            ({}, {"torch_dtype": "bfloat16"}, torch.bfloat16),
            ({"dtype": "bfloat16"}, {}, torch.bfloat16),
            ({"dtype": None, "model_dtype": "bfloat16"}, {}, torch.bfloat16),
        ],
    )
    def test_data_type(self, copy, settings, arguments, expected):
        rewrite(copy, **settings)
        loaded = AlpamayoR1.from_pretrained(copy, **arguments)
        assert loaded.vlm.dtype == loaded.expert.dtype == loaded.action_out_proj.weight.dtype == expected
        assert loaded.action_space.accel_std.dtype == torch.float32
        assert torch.equal(loaded.action_space.accel_std, torch.tensor(0.8))

    def test_projections_in_float32(self, copy):
        rewrite(copy, keep_same_dtype=False)
        loaded = AlpamayoR1.from_pretrained(copy, dtype=torch.bfloat16)
        assert loaded.expert.dtype == torch.bfloat16
        assert loaded.action_out_proj.weight.dtype == loaded.action_in_proj.norm.weight.dtype == torch.float32
        xyz, _ = loaded.sample_trajectories_from_data_with_vlm_rollout(data_of(loaded, SceneSpec()), num_traj_samples=1)
        assert torch.isfinite(xyz).all()

    def test_base_of_another_data_type(self, tmp_path):
        base = write_base(tmp_path / BASE)
        settings = json.loads((base / "config.json").read_text("utf-8"))
        for part in (settings, settings["text_config"], settings["vision_config"]):
            part["dtype"] = "bfloat16"
        (base / "config.json").write_text(json.dumps(settings))
        assert {parameter.dtype for parameter in tiny_model(base).parameters()} == {torch.float32}

    def test_tied_embeddings(self, tmp_path):
        base = write_base(tmp_path / BASE)
        settings = json.loads((base / "config.json").read_text("utf-8"))
        (base / "config.json").write_text(json.dumps(settings | {"tie_word_embeddings": True}))
        tied = tiny_model(base)
        tied.save_pretrained(tmp_path / "tied")
        assert "vlm.lm_head.weight" not in load_file(tmp_path / "tied" / WEIGHTS)
        loaded = AlpamayoR1.from_pretrained(tmp_path / "tied")
        assert loaded.vlm.lm_head.weight is loaded.vlm.model.language_model.embed_tokens.weight
        assert_same(tied, loaded)

    def test_device_map(self, model, saved):
        assert_same(model, AlpamayoR1.from_pretrained(saved, device_map="cpu"))

    def test_stage_one(self, tmp_path):
        config = tiny_config(write_base(tmp_path / BASE))
        settings = {key: value for key, value in config.to_dict().items() if key in ReasoningVLAConfig().to_dict()}
        first = ReasoningVLA(ReasoningVLAConfig(**settings))
        first.save_pretrained(tmp_path / "stage1", max_shard_size="200KB")
        assert_same(first, ReasoningVLA.from_pretrained(tmp_path / "stage1"))


class TestReleasedForm:
    """Folders as released: weights and config.json, the base model elsewhere."""

    @pytest.fixture
    def bare(self, copy):
        for path in copy.iterdir():
            if path.name not in ("config.json", WEIGHTS):
                path.unlink()
        rewrite(copy, vlm_config=None, vlm_name_or_path=f"makers/{BASE}")
        return copy

    @pytest.mark.parametrize("place", [".", ".."])
    def test_base_beside_or_inside(self, model, bare, place):
        write_base(bare / place / "makers" / BASE)
        loaded = AlpamayoR1.from_pretrained(bare)
        assert_same(model, loaded)
        assert loaded.tokenizer.get_vocab() == model.tokenizer.get_vocab()

    def test_base_nowhere(self, bare):
        with pytest.raises(AlpamayoError, match=f"vlm_name_or_path 'makers/{BASE}': expected the base model in"):
            AlpamayoR1.from_pretrained(bare, local_files_only=True)

    def test_base_downloaded_earlier(self, model, bare, monkeypatch):
        repository = bare.parent / "hub" / f"models--makers--{BASE}"
        write_base(repository / "snapshots" / "abc")
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")
        looked_up = loading.try_to_load_from_cache
        monkeypatch.setattr(
            loading, "try_to_load_from_cache", lambda *names: looked_up(*names, cache_dir=repository.parent)
        )
        assert_same(model, AlpamayoR1.from_pretrained(bare))

    def test_prefix_of_version_1_5(self, model, copy):
        content = json.loads((copy / "config.json").read_text("utf-8"))
        renamed = json.loads(json.dumps(content).replace('"alpamayo_r1.', '"alpamayo1_5.'))
        assert renamed != content
        rewrite(copy, **renamed)
        assert_same(model, AlpamayoR1.from_pretrained(copy))

    @needs_golden
    def test_reference_checkpoint_without_a_tokenizer(self, tmp_path):
        copy = Path(shutil.copytree(GOLDEN / "checkpoint", tmp_path / "checkpoint"))
        copy.chmod(0o755)
        shutil.copytree(GOLDEN / "tiny_vlm", tmp_path / "tiny_vlm")
        wanted = AutoTokenizer.from_pretrained(copy).get_vocab()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (copy / name).unlink()
        loaded = AlpamayoR1.from_pretrained(copy)
        assert loaded.tokenizer.get_vocab() == wanted
        assert loaded.num_parameters() == 1_213_474


class TestRefused:
    def change_tensors(self, folder: Path, change) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    def test_missing_extra_and_misshapen_tensors(self, copy):
        def change(tensors):
            del tensors["expert.norm.weight"]
            tensors["planner.weight"] = torch.zeros(2)
            tensors["action_out_proj.bias"] = torch.zeros(7)

        self.change_tensors(copy, change)
        with pytest.raises(AlpamayoError) as raised:
            AlpamayoR1.from_pretrained(copy)
        message = str(raised.value)
        assert str(copy) in message
        assert "1 missing: expert.norm.weight" in message
        assert "1 unknown: planner.weight" in message
        assert "1 misshapen: action_out_proj.bias (found (7,), expected (2,))" in message

    def test_missing_buffer(self, copy):
        self.change_tensors(copy, lambda tensors: tensors.pop("action_space.accel_std"))
        with pytest.raises(AlpamayoError, match=r"1 missing: action_space\.accel_std"):
            AlpamayoR1.from_pretrained(copy)

    @pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
    def test_pickle(self, copy, name):
        (copy / WEIGHTS).rename(copy / name)
        with pytest.raises(AlpamayoError, match=f"expected {WEIGHTS} or .*found {name}: pickles can run code"):
            AlpamayoR1.from_pretrained(copy, use_safetensors=False)

    @pytest.mark.parametrize("shard", ["evil.bin", "../model.safetensors", "/tmp/x.safetensors"])
    def test_index_that_points_elsewhere(self, copy, shard):
        (copy / WEIGHTS).unlink()
        (copy / WEIGHTS_INDEX).write_text(json.dumps({"weight_map": {"expert.norm.weight": shard}}))
        with pytest.raises(AlpamayoError, match=r"names of \.safetensors files beside it, found "):
            AlpamayoR1.from_pretrained(copy)

    @pytest.mark.parametrize("content", ["[]", "{", '{"weight_map": 3}'])
    def test_broken_index(self, copy, content):
        (copy / WEIGHTS).unlink()
        (copy / WEIGHTS_INDEX).write_text(content)
        with pytest.raises(AlpamayoError, match="expected a JSON object with a weight_map"):
            AlpamayoR1.from_pretrained(copy)

    def test_missing_shard(self, model, tmp_path):
        model.save_pretrained(tmp_path, max_shard_size="200KB")
        gone = sorted(tmp_path.glob("model-*.safetensors"))[1]
        gone.unlink()
        with pytest.raises(AlpamayoError, match=f"missing: {gone.name}"):
            AlpamayoR1.from_pretrained(tmp_path)

    @pytest.mark.parametrize("key", ["diffusion_cfg", "action_space_cfg", "hist_traj_tokenizer_cfg"])
    def test_hostile_target(self, copy, key, tmp_path):
        rewrite(copy, **{key: {"_target_": "os.system", "command": f"touch {tmp_path}/ran"}})
        with pytest.raises(AlpamayoError, match=r"_target_ 'os\.system'"):
            AlpamayoR1.from_pretrained(copy)
        assert not (tmp_path / "ran").exists()

    def test_what_is_refused_is_named_with_its_folder(self, copy):
        rewrite(copy, diffusion_cfg={"_target_": "os.system"})
        with pytest.raises(AlpamayoError, match=str(copy)):
            AlpamayoR1.from_pretrained(copy)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("traj_vocab_size", "many"),
            ("tokens_per_history_traj", -1),
            ("min_pixels", "x"),
            ("model_dtype", "float99"),
            ("expert_cfg", [1]),
            ("model_type", "llama"),
        ],
    )
    def test_settings_of_other_kinds(self, copy, key, value):
        rewrite(copy, **{key: value})
        with pytest.raises(AlpamayoError, match=rf"config\.json: {key}: expected .*, found") as raised:
            AlpamayoR1.from_pretrained(copy)
        assert str(copy) in str(raised.value)

    @pytest.mark.parametrize("changes", [{"dtype": "os.system"}, {"vlm_config": {"text_config": 5}}])
    def test_what_libraries_stumble_over(self, copy, changes):
        rewrite(copy, **changes)
        with pytest.raises(AlpamayoError, match="the checkpoint cannot be read"):
            AlpamayoR1.from_pretrained(copy)

    def test_tokenizer_with_code_of_its_own(self, copy, tmp_path):
        path = copy / "tokenizer_config.json"
        own = {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}, "tokenizer_class": "EvilTokenizer"}
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | own))
        (copy / "evil.py").write_text(f"open('{tmp_path}/ran', 'w')")
        with pytest.raises(AlpamayoError, match="code of its own, which is never run") as raised:
            AlpamayoR1.from_pretrained(copy)
        assert "trust_remote_code" not in str(raised.value)
        assert not (tmp_path / "ran").exists()

    def test_tensors_that_are_no_plain_numbers(self, copy):
        def change(tensors):
            tensors["action_out_proj.weight"] = tensors["action_out_proj.weight"].to(torch.int8)

        self.change_tensors(copy, change)
        with pytest.raises(AlpamayoError, match=r"expected tensors of F64.*found action_out_proj\.weight \(I8\)"):
            AlpamayoR1.from_pretrained(copy)

    def test_pickle_under_another_name(self, copy):
        torch.save({}, copy / WEIGHTS)
        with pytest.raises(AlpamayoError, match=f"{WEIGHTS}: the checkpoint cannot be read: expected a whole"):
            AlpamayoR1.from_pretrained(copy)

    def test_index_without_metadata(self, model, tmp_path):
        model.save_pretrained(tmp_path, max_shard_size="200KB")
        path = tmp_path / WEIGHTS_INDEX
        path.write_text(json.dumps({"weight_map": json.loads(path.read_text("utf-8"))["weight_map"]}))
        with pytest.raises(AlpamayoError, match='expected "metadata" beside weight_map'):
            AlpamayoR1.from_pretrained(tmp_path)

    def test_part_that_is_missing(self, copy):
        rewrite(copy, action_in_proj_cfg=None)
        with pytest.raises(AlpamayoError, match="action_in_proj_cfg: expected a _target_"):
            AlpamayoR1.from_pretrained(copy)

    def test_weights_of_another_name(self, copy):
        rewrite(copy, transformers_weights="adapter_model.bin")
        with pytest.raises(AlpamayoError, match=r"transformers_weights 'adapter_model\.bin'"):
            AlpamayoR1.from_pretrained(copy)

    def test_adapter(self, copy):
        (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "somewhere/else"}')
        with pytest.raises(AlpamayoError, match="found adapter_config"):
            AlpamayoR1.from_pretrained(copy)

    def test_other_backend(self, copy):
        rewrite(copy, vlm_backend="internvl")
        with pytest.raises(AlpamayoError, match="vlm_backend: expected 'qwenvl3', found 'internvl'"):
            AlpamayoR1.from_pretrained(copy)

    def test_no_folder(self, tmp_path):
        with pytest.raises(AlpamayoError, match="expected a folder"):
            AlpamayoR1.from_pretrained(tmp_path / "nothing")
        with pytest.raises(AlpamayoError, match="makers/model: expected a folder with a checkpoint, or a name"):
            AlpamayoR1.from_pretrained("makers/model", local_files_only=True)
        (tmp_path / "empty").mkdir()
        with pytest.raises(AlpamayoError, match=r"expected a checkpoint's config\.json"):
            AlpamayoR1.from_pretrained(tmp_path / "empty")

    def test_tokenizer_without_the_tokens(self, copy):
        base_tokenizer().save_pretrained(copy)
        with pytest.raises(AlpamayoError, match=r"124 of the model's tokens are missing: <\|prompt_start\|>"):
            AlpamayoR1.from_pretrained(copy)

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"traj_token_start_idx": 5}, "traj_token_start_idx: 263, not 5"),
            ({"traj_token_ids": {"history": 1}}, "traj_token_ids history: [0-9]+, not 1"),
            ({"vocab_size": 300}, "vocab_size: 387, not 300"),
        ],
    )
    def test_tokenizer_of_another_model(self, copy, changes, told):
        rewrite(copy, **changes)
        with pytest.raises(AlpamayoError, match=f"does not fit the configuration: .*{told}"):
            AlpamayoR1.from_pretrained(copy)


def test_model_of_settings_alone_finds_what_they_name(tmp_path, monkeypatch):
    """Settings keep the folder that they came from, wherever the process works."""
    write_base(tmp_path / BASE)
    tiny_config(tmp_path / BASE).save_pretrained(tmp_path / "checkpoint")
    settings = AlpamayoR1Config.from_pretrained(tmp_path / "checkpoint", vlm_name_or_path=BASE)
    monkeypatch.chdir("/")
    assert AlpamayoR1(settings).tokenizer.convert_tokens_to_ids("<i0>") == settings.traj_token_start_idx


@pytest.mark.parametrize(("name", "value"), [("accel_std", 0.0), ("curvature_mean", float("nan"))])
def test_an_action_space_without_numbers_is_refused(saved, tmp_path, name, value):
    shutil.copytree(saved, tmp_path / "copy")
    path = tmp_path / "copy" / WEIGHTS
    tensors = load_file(path)
    tensors[f"action_space.{name}"] = torch.tensor(value)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(AlpamayoError, match=rf"copy: action_space\.{name}: expected a \w+ number, found {value}"):
        AlpamayoR1.from_pretrained(tmp_path / "copy")
