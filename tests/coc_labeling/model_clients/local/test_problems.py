import pytest

from coc_labeling.model_clients.errors import ModelUnusable, RequestRefused
from coc_labeling.model_clients.local import problems

FAILED = RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}")

# As vLLM 0.32, torch and CUDA word them.
KV_CACHE = (
    "ValueError: To serve at least one request with the model's max seq len (32768), (6.0 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (2.5 GiB). Based on the available memory, the estimated "
    "maximum model length is 13632. Try increasing `gpu_memory_utilization` (which also controls CPU memory on the "
    "CPU backend) or decreasing `max_model_len` when initializing the engine."
)
BUSY_GPU = (
    "ValueError: Free memory on device cuda:0 (20.3/79.1 GiB) on startup is less than desired GPU memory utilization "
    "(0.95, 75.1 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
)


@pytest.mark.parametrize(
    ("log", "code", "words"),
    [
        (KV_CACHE, "kv_cache", ["vllm.max_model_len=32768", "6.0 GiB", "2.5 GiB", "vllm.max_model_len=13632 or less"]),
        (
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
            "kv_cache",
            ["vllm.gpu_memory_utilization", "vllm.max_model_len", "vllm.tensor_parallel"],
        ),
        (BUSY_GPU, "gpu_memory", ["20.3 of 79.1 GiB", "vllm.gpu_memory_utilization=0.95"]),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of",
            "gpu_memory",
            ["vllm.gpu_memory_utilization", "vllm.max_num_seqs", "vllm.max_model_len", "vllm.tensor_parallel"],
        ),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: "
            "you tried to allocate 1099511627776 bytes. Error code 12 (Cannot allocate memory)",
            "gpu_memory",
            ["out of memory"],
        ),
        ("CUDA error: the provided PTX was compiled with an unsupported toolchain.", "driver", ["update the driver"]),
        (
            "ImportError: libtorch_cuda.so: cannot open shared object file: No such file or directory",
            "torch",
            ["libtorch_cuda.so", "Docker image"],
        ),
        ("RuntimeError: Found no NVIDIA driver on your system.", "driver", ["--gpus all"]),
    ],
)
def test_causes_in_the_log_name_the_setting(log, code, words):
    error = problems.of_start(FAILED, f"INFO loading\n{log}\nRuntimeError: {FAILED}", "/runs/1/vllm.log")
    assert isinstance(error, ModelUnusable)
    assert error.code == code
    for word in [*words, "/runs/1/vllm.log"]:
        assert word in str(error)


def test_an_unknown_cause_is_told_in_its_own_words():
    log = "KeyError: 'model.layers.0'\nmore\nRuntimeError: Engine core initialization failed. See root cause above."
    assert "KeyError: 'model.layers.0'" in str(problems.of_start(FAILED, log, "/x.log"))


def test_a_library_that_cannot_be_imported_here():
    error = problems.of_start(ImportError("libtorch_cuda.so: cannot open shared object file"), "", "/x.log")
    assert error.code == "torch"


def test_an_engine_that_died_points_to_its_log():
    error = problems.of_death(RuntimeError("EngineCore encountered an issue."), "", "/runs/1/vllm.log")
    assert isinstance(error, ModelUnusable)
    assert "ended unexpectedly" in str(error)
    assert "/runs/1/vllm.log" in str(error)


@pytest.mark.parametrize("more", ["", " plus the number of requested output tokens (at least 1)"])
def test_a_prompt_that_is_too_long_costs_its_window_only(more):
    said = (
        f"The decoder prompt (length 20313){more} is longer than the maximum model length of 16384. Make sure that "
        "`max_model_len` is no smaller than the number of text tokens plus multimodal tokens."
    )
    error = problems.of_request(ValueError(said), "/x.log")
    assert isinstance(error, RequestRefused)
    assert "20313 tokens" in str(error)
    assert "vllm.max_model_len=16384" in str(error)


def test_a_text_that_is_too_long_is_noticed_before_it_is_counted_whole():
    said = (
        "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, "
        "which exceeds this limit even without any output tokens. (parameter=input_tokens, value=4097)"
    )
    message = str(problems.of_request(ValueError(said), "/x.log"))
    assert "at least 4097 tokens, and vllm.max_model_len=4096 is the most" in message


def test_a_request_that_vllm_refuses_for_another_reason():
    error = problems.of_request(ValueError("At most 2 video(s) may be provided in one prompt."), "/x.log")
    assert isinstance(error, RequestRefused)
    assert "At most 2 video(s)" in str(error)
