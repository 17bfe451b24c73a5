"""The configurations of ``coc train``."""
