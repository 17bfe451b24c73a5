# Local Qwen models on NVIDIA GPUs: docs/local_models.md. To build: docker build -t coc_auto_labeling:latest .
#
# CUDA 12, since drivers from 525 on run every CUDA 12.x by minor-version compatibility, while CUDA 13 wants driver 580:
# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
# 12.8 is what torch in requirements/vllm.lock is built for; change both together. "devel" brings nvcc, with which
# vLLM's libraries (FlashInfer, DeepGEMM) compile kernels for the GPU that they find.
FROM nvidia/cuda:12.8.1-devel-ubuntu24.04

# The base image lets drivers before CUDA 12.8 in for some branches only: not for 545. 12.2 is what driver 535 speaks.
ENV NVIDIA_REQUIRE_CUDA="cuda>=12.2"

# Its forward-compatibility libraries fail with error 803 on drivers that they do not know, such as 545. Without them
# all drivers go the same way, minor-version compatibility.
RUN rm -rf /usr/local/cuda-12.8/compat

# A C compiler and Python's headers are for Triton, which compiles its launchers at run time.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        build-essential \
        ca-certificates \
        ffmpeg \
        python3.12 \
        python3.12-dev \
        python3.12-venv \
    && rm -rf /var/lib/apt/lists/*

# Outside the project's folder, which a checkout of the host may be mounted over.
ENV VIRTUAL_ENV=/opt/venv
ENV PATH="${VIRTUAL_ENV}/bin:${PATH}"

# Only these files decide about this layer: a change of code does not install vLLM again. vllm.lock holds vLLM and what
# the toolkit and its extra [vlm] need, resolved together.
COPY requirements/build.lock requirements/vllm.lock /opt/requirements/
RUN python3.12 -m venv "${VIRTUAL_ENV}" \
    && pip install --no-cache-dir --require-hashes -r /opt/requirements/build.lock \
    && pip install --no-cache-dir --no-build-isolation --no-deps --require-hashes -r /opt/requirements/vllm.lock \
    && pip check

# Weights are looked for here; mount a folder of the host. vLLM and huggingface_hub report to nobody.
ENV MODEL_CACHE_DIR=/workspace/hf-cache \
    VLLM_NO_USAGE_STATS=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1

WORKDIR /workspace/coc_auto_labeling
COPY . .
# Editable, so that `-v path/to/checkout:/workspace/coc_auto_labeling` runs that checkout.
RUN pip install --no-cache-dir --no-build-isolation --no-deps -e .

CMD ["bash"]
