"""Simulated traffic with known causes: what labels are worth, measured against the truth."""
