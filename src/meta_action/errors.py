"""The errors of labelling meta-actions."""


class MetaActionError(Exception):
    """Arguments or files that cannot be used; the message says what was expected, found and what to do."""
