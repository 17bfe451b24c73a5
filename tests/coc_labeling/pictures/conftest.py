import pytest

from builders.pictures import Place


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Place:
    """The dataset; tests do not write there."""
    return Place(tmp_path_factory.mktemp("pictures")).fill()


@pytest.fixture
def elsewhere(place, tmp_path, monkeypatch) -> Place:
    """The same dataset, with a ``vis_dir`` of its own."""
    monkeypatch.setattr(place, "out", tmp_path / "vis")
    return place
