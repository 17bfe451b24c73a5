"""The web application of ``coc review``: pages and a small API on top of the store of reviews."""
