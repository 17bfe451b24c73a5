"""What a reviewer is shown of a window: scene, video and frames, cut at the keyframe before the future is unlocked.

There is no web in it: who may see what is decided by whoever asks.
"""

from coc_labeling.review.material.errors import MaterialError
from coc_labeling.review.material.material import Material

__all__ = ["Material", "MaterialError"]
