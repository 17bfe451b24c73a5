"""Steps 2 and 3: keyframes, and Chain-of-Causation labels for the windows around them."""
