"""Loose files are grouped into buckets by a hash of their id, so that a cache file holds many of them."""

import hashlib


def stable_hash(text: str) -> int:
    """Return a 64-bit hash that is the same in every process, on every machine, in every version."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8], "big")


def bucket(recording_id: str) -> str:
    """Return the bucket, of 256, that a loose recording belongs to."""
    return f"bucket-{stable_hash(recording_id) % 256:02x}"
