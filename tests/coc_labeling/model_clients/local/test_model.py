import importlib.metadata

import pytest

from builders.checkpoints import write_checkpoint, write_snapshot
from coc_labeling.asking import _address
from coc_labeling.model_clients.errors import ModelUnusable
from coc_labeling.model_clients.local import model
from coc_labeling.model_clients.local.model import utilization_of
from coc_labeling.model_clients.local.placement import GIB, Gpu
from coc_labeling.model_clients.vlm_wrappers import LocalSettings, ModelSettings, create_model_wrapper, encode_image
from coc_labeling.model_clients.vlm_wrappers.qwen import QWEN_MODEL_SPECS

AWQ = "qwen3_vl_235b_awq"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for name in ("HF_HOME", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES", model.UTILIZATION, model.CPU_CACHE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.32.0+cpu")


@pytest.fixture
def on_gpus(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.32.0")
    monkeypatch.setattr(model, "visible_gpus", lambda environ: [Gpu(str(i), "GPU", 80 * GIB) for i in range(4)])


def wrapper_of(name="qwen3.5_35b", **local):
    return create_model_wrapper(name, settings=ModelSettings(local=LocalSettings(**local)))


def plan_of(name="qwen3.5_35b", **local):
    """What vLLM would be started with, and where."""
    one = wrapper_of(name, **local).local
    return one._plan(one.checkpoint, one._placement)


def test_what_vllm_is_started_with(cache, on_gpus):
    folder = QWEN_MODEL_SPECS["qwen3.5_35b"][0]
    path = write_snapshot(cache, folder, "abc")
    arguments, devices = plan_of(videos_per_prompt=4)
    assert devices == ["0", "1", "2", "3"]
    assert arguments == {
        "model": str(path),
        "served_model_name": "Qwen/Qwen3.5-35B-A3B",
        "seed": 42,
        "dtype": "auto",
        "quantization": None,
        "tensor_parallel_size": 1,
        "max_num_seqs": 64,
        "max_model_len": 32768,
        "limit_mm_per_prompt": {"image": 16, "video": 4},
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "gpu_memory_utilization": 0.95,
    }


def test_awq_needs_float16(cache, on_gpus):
    write_snapshot(cache, QWEN_MODEL_SPECS[AWQ][0], "abc", model_type="qwen3_vl_moe")
    first, devices = plan_of(AWQ, tensor_parallel=2, max_num_seqs=8, gpu_memory_utilization=0.8)
    assert devices == ["0,1", "2,3"]
    assert (first["dtype"], first["quantization"], first["tensor_parallel_size"]) == ("float16", "awq", 2)
    assert (first["max_num_seqs"], first["gpu_memory_utilization"]) == (8, 0.8)


def test_a_checkpoint_of_one_s_own_says_its_quantization_itself(tmp_path, on_gpus):
    path = write_checkpoint(tmp_path / "mine", model_type="qwen3_vl_moe")
    assert plan_of(AWQ, model_path=str(path))[0]["quantization"] is None


def test_on_a_cpu(tmp_path, on_cpu, monkeypatch):
    path = write_checkpoint(tmp_path / "mine", text_config={"max_position_embeddings": 4096})
    arguments, devices = plan_of(model_path=str(path), data_parallel=2)
    assert devices == [None, None]
    assert (arguments["enforce_eager"], arguments["max_num_seqs"]) == (True, 16)
    assert arguments["max_model_len"] == 4096  # what it was made for
    assert arguments["kv_cache_memory_bytes"] == 2 * GIB
    monkeypatch.setenv(model.CPU_CACHE, "5")
    assert "kv_cache_memory_bytes" not in plan_of(model_path=str(path))[0]


def test_more_requests_in_flight_than_the_engine_works_on(cache, on_gpus):
    write_snapshot(cache, QWEN_MODEL_SPECS["qwen3.5_35b"][0], "abc")
    assert wrapper_of().preferred_in_flight == 4 * 64 * 3 // 2
    assert wrapper_of(max_num_seqs=8, data_parallel=1).preferred_in_flight == 12


def test_without_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.32.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelUnusable, match=r"nvidia-smi shows no GPU.*--gpus all"):
        wrapper_of()


def test_what_will_be_downloaded_is_known_before(on_cpu):
    wrapper = wrapper_of()
    assert wrapper.local.checkpoint is None
    assert wrapper.describe() == {"provider": "vllm", "base_urls": [], "model": "Qwen/Qwen3.5-35B-A3B", "revision": ""}
    assert wrapper.hosts == ()
    assert wrapper.measured() == {}


def test_two_checkpoints_never_share_answers(tmp_path, cache, on_cpu):
    write_snapshot(cache, QWEN_MODEL_SPECS["qwen3.5_35b"][0], "abc")
    folders = [write_checkpoint(tmp_path / str(number) / "mine", heads=number) for number in range(2)]
    wrappers = [wrapper_of(), *(wrapper_of(model_path=str(folder)) for folder in folders)]
    assert len({tuple(_address(wrapper)) for wrapper in wrappers}) == 3
    assert wrappers[0].describe()["revision"] == "abc"
    assert wrappers[1].model_id == "mine"


@pytest.mark.parametrize(("said", "share"), [(None, 0.95), ("", 0.95), ("0.7", 0.7)])
def test_the_share_of_memory_from_the_environment(monkeypatch, said, share):
    if said is not None:
        monkeypatch.setenv(model.UTILIZATION, said)
    assert utilization_of(LocalSettings()) == share
    assert utilization_of(LocalSettings(gpu_memory_utilization=0.5)) == 0.5


@pytest.mark.parametrize("said", ["much", "0", "95"])
def test_a_share_that_is_none(monkeypatch, said):
    monkeypatch.setenv(model.UTILIZATION, said)
    with pytest.raises(ModelUnusable, match=f"VLLM_GPU_MEMORY_UTILIZATION='{said}': expected a number above 0"):
        utilization_of(LocalSettings())


def test_frames_are_one_video_inside_this_process_and_pictures_for_servers(tmp_path, on_cpu):
    picture = encode_image(b"\xff\xd8\xff\xd9")
    here = wrapper_of(model_path=str(write_checkpoint(tmp_path / "mine")))
    assert [part["type"] for part in here.add_message("user", "video", [("a", picture)])["content"]] == [
        "text",
        "video",
    ]
    there = create_model_wrapper("qwen3.5_35b", ip_addr="localhost")
    assert there.add_message("user", "video", [("a", picture)])["content"][1]["type"] == "image_url"
    unopened = create_model_wrapper("qwen3.5_35b", init_model=False)
    message = unopened.add_message("user", "video", [("a", picture)])
    assert message == here.add_message("user", "video", [("a", picture)])
    body = unopened.request([message]) | {"model": here.model_id}
    assert body == here.request([message])
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
