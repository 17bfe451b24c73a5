import pytest

from builders.runs import Inputs, prepare


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> Inputs:
    """Four clips with their meta-actions and keyframes; tests do not write there."""
    return prepare(tmp_path_factory.mktemp("inputs"))
