"""How a model is reached, and nothing about driving."""
