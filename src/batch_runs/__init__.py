"""How a command works through many clips: shards, worker processes, progress, outcomes and the run's summary."""
