import pytest

from builders.pictures import Place


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Place:
    """A small labelled dataset with one video; tests do not write there."""
    return Place(tmp_path_factory.mktemp("export")).fill()
