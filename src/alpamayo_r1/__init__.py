"""The reasoning model: a vision-language model writes the Chain-of-Causation, an action expert drives from it."""
