"""The errors of choosing keyframes and labelling them."""


class CocLabelingError(Exception):
    """Arguments, configuration or files that cannot be used; the message says what to do."""


class RecordError(CocLabelingError):
    """A label record that is not what the schema says; the message names the file and the field."""
