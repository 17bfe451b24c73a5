import pytest

from builders.review_web import Served
from builders.reviews import filled


@pytest.fixture
def served(tmp_path):
    """Twenty labels for ann and bob, an auditor aud and an admin dora."""
    store = filled(str(tmp_path), 20, people="ann bob")
    with Served(store, str(tmp_path)) as site:
        yield site
