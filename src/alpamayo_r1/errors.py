"""The errors of the reasoning model."""


class AlpamayoError(ValueError):
    """Tensors, configuration or files that cannot be used; the message says what was expected and what was found."""
