"""Settings of the whole suite."""

from hypothesis import HealthCheck, settings

collect_ignore = ["vllm", "model"]  # each needs an environment of its own: make test-vllm, make test-model

# Slow machines are no failures, and runs are repeatable.
settings.register_profile(
    "coc", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("coc")
