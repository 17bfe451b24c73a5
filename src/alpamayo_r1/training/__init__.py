"""Fine-tuning the reasoning model: labels to examples, examples to batches, batches to a trained checkpoint."""
