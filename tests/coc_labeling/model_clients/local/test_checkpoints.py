import errno
import os

import pytest

from builders.checkpoints import SHARDS, write_checkpoint, write_snapshot
from coc_labeling.model_clients.errors import ModelUnusable
from coc_labeling.model_clients.local import checkpoints
from coc_labeling.model_clients.local.checkpoints import Source, cache_dirs, given

SOURCE = Source("models--Qwen--Qwen3.5-35B-A3B", "Qwen/Qwen3.5-35B-A3B")
OFFLINE = {"HF_HUB_OFFLINE": "1"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def found(cache):
    checkpoint = SOURCE.find({"MODEL_CACHE_DIR": str(cache)})
    assert checkpoint is not None
    return checkpoint


def test_caches_in_their_order():
    both = cache_dirs({"MODEL_CACHE_DIR": "/m", "HF_HOME": "/hf"})
    assert [str(path) for path in both] == ["/m", "/hf/hub", "/hf", "models"]
    assert [str(path) for path in cache_dirs({"HF_HOME": ""})] == ["models"]


def test_a_snapshot_says_what_it_is(cache):
    write_snapshot(cache, SOURCE.cache_folder, "abc", quantization_config={"quant_method": "FP8"})
    checkpoint = found(cache)
    assert (checkpoint.name, checkpoint.revision) == ("Qwen/Qwen3.5-35B-A3B", "abc")
    assert (checkpoint.family, checkpoint.quantization) == ("qwen3_5_moe", "fp8")
    assert (checkpoint.weight_bytes, checkpoint.heads, checkpoint.max_positions) == (200, 16, 262144)


def test_main_comes_before_newer_snapshots(cache):
    write_snapshot(cache, SOURCE.cache_folder, "main", main=True)
    newer = write_snapshot(cache, SOURCE.cache_folder, "newer")
    os.utime(newer, (2e9, 2e9))
    assert found(cache).revision == "main"
    (cache / SOURCE.cache_folder / "refs" / "main").unlink()
    assert found(cache).revision == "newer"


def test_a_complete_snapshot_comes_before_main_that_is_not(cache, caplog):
    main = write_snapshot(cache, SOURCE.cache_folder, "main", main=True)
    write_snapshot(cache, SOURCE.cache_folder, "older")
    (main / SHARDS[1]).unlink()
    assert found(cache).revision == "older"


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        (SHARDS[1], f"{SHARDS[1]} of the 2 that model.safetensors.index.json names"),
        ("config.json", "config.json"),
        ("tokenizer.json", "tokenizer.json or vocab.json"),
        ("tokenizer_config.json", "tokenizer_config.json"),
        ("preprocessor_config.json", "preprocessor_config.json or processor_config.json"),
    ],
)
def test_what_is_not_complete_says_what_it_lacks(cache, caplog, name, lacks):
    path = write_snapshot(cache, SOURCE.cache_folder, "abc")
    (path / name).unlink()
    assert SOURCE.find({"MODEL_CACHE_DIR": str(cache)}) is None
    assert f"{path} lacks {lacks}" in caplog.text
    with pytest.raises(ModelUnusable, match="HF_HUB_OFFLINE") as caught:
        SOURCE.find({"MODEL_CACHE_DIR": str(cache), **OFFLINE})
    assert lacks in str(caught.value)
    assert str(cache) in str(caught.value)


def test_shards_that_are_links_to_nothing_are_missing(cache):
    path = write_snapshot(cache, SOURCE.cache_folder, "abc")
    for name in SHARDS:
        (path / name).unlink()
        (path / name).symlink_to(path / "../../blobs/gone")
    assert checkpoints.missing(path).startswith(f"{SHARDS[0]} and 1 more files")


def test_an_index_that_cannot_be_read_is_said(cache):
    path = write_snapshot(cache, SOURCE.cache_folder, "abc")
    (path / "model.safetensors.index.json").write_text("{")
    assert checkpoints.missing(path) == "a readable model.safetensors.index.json"


@pytest.mark.parametrize("folder", ["Qwen3.5-35B-A3B", SOURCE.cache_folder])
def test_plain_folders_in_a_cache(cache, folder):
    write_checkpoint(cache / folder, shards=("model.safetensors",))
    checkpoint = found(cache)
    assert checkpoint.revision.startswith("local-")
    assert checkpoint.weight_bytes == 100


@pytest.mark.parametrize("below", ["hub", "."])
def test_hf_home_and_the_folder_below_it(cache, below):
    write_snapshot(cache / below, SOURCE.cache_folder, "abc")
    assert SOURCE.find({"HF_HOME": str(cache)}).revision == "abc"


def test_models_in_the_working_directory(cache):
    write_snapshot(cache.parent / "models", SOURCE.cache_folder, "abc")
    checkpoint = SOURCE.find({})
    assert checkpoint.revision == "abc"
    assert checkpoint.path.is_absolute()


def test_another_family_is_refused_by_its_name(cache):
    write_snapshot(cache, SOURCE.cache_folder, "abc", model_type="llama")
    with pytest.raises(ModelUnusable, match="type 'llama'; expected one of: qwen3_vl, qwen3_vl_moe, qwen3_5"):
        found(cache)


def test_a_given_folder(cache):
    write_checkpoint(cache / "mine", model_type="qwen3_vl")
    checkpoint = given(str(cache / "mine"))
    assert (checkpoint.name, checkpoint.family) == ("mine", "qwen3_vl")
    write_checkpoint(cache / "other" / "mine", model_type="qwen3_vl", shards=("model.safetensors",))
    assert given(str(cache / "other" / "mine")).revision != checkpoint.revision
    write_snapshot(cache, SOURCE.cache_folder, "abc")
    assert given(str(cache / SOURCE.cache_folder)).path.name == "abc"


def test_a_given_folder_that_will_not_do(cache):
    with pytest.raises(
        ModelUnusable, match=r"model_path=/nowhere: no such folder; expected one that holds config\.json"
    ):
        given("/nowhere")
    path = write_checkpoint(cache / "mine")
    (path / SHARDS[0]).unlink()
    with pytest.raises(ModelUnusable, match=rf"model_path={path}: not a complete checkpoint, it lacks {SHARDS[0]}"):
        given(str(path))


class GatedRepoError(Exception):
    pass


class RepositoryNotFoundError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "environ", "words"),
    [
        (GatedRepoError(), {}, "HF_TOKEN, which is not set, must allow it"),
        (GatedRepoError(), {"HF_TOKEN": "hf_secret"}, "the token in HF_TOKEN must allow it"),
        (RepositoryNotFoundError(), {"HF_TOKEN": "hf_secret"}, "check the token in HF_TOKEN"),
        (RepositoryNotFoundError(), {}, "if it is private, set HF_TOKEN"),
        (OSError(errno.ENOSPC, "full"), {}, "no space is left in models: make room, or set MODEL_CACHE_DIR"),
        (PermissionError(13, "no"), {}, "models cannot be written to: set MODEL_CACHE_DIR"),
        (ConnectionError("hf_secret in a header"), {"HF_TOKEN": "hf_secret"}, r"could not be reached.*model_path"),
    ],
)
def test_downloads_that_fail_say_what_to_do(error, environ, words, monkeypatch):
    asked = {}

    def snapshot_download(hub_id, **arguments):
        asked.update(arguments, hub_id=hub_id)
        raise error

    hub = type("hub", (), {"snapshot_download": staticmethod(snapshot_download)})
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", hub)
    with pytest.raises(ModelUnusable, match=words) as caught:
        SOURCE.download(environ)
    assert "Qwen/Qwen3.5-35B-A3B is not in models" in str(caught.value)
    assert "hf_secret" not in str(caught.value)
    assert asked["token"] == (environ.get("HF_TOKEN") or False)
