"""A tiny tokenizer and prepared scenes."""

import pytest

from alpamayo_r1.models import loading
from builders.prepared import tiny_set
from tiny_model import tiny_config, write_base


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return the configuration of a tiny model and its tokenizer."""
    config = tiny_config(write_base(tmp_path_factory.mktemp("base")))
    return config, loading.load_tokenizer(config)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Return a prepared set of six scenes of the size of the tiny model's processor."""
    return tiny_set(tmp_path_factory.mktemp("scenes"))
