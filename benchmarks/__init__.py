"""How fast the toolkit is, and in how much memory: ``python -m benchmarks.run_all`` prints one table."""
