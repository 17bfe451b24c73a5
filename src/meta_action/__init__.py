"""Step 1: ego motion in, a timeline of meta-actions out."""
