"""People who review labels: what they are shown and when, and what they decide; none of it changes a label."""
