"""Qwen models inside this process: vLLM's engine, which checkpoint it loads and on which GPUs."""
