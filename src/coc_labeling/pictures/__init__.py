"""Pictures of clips: videos that show camera or scene, meta-actions, curves and labels side by side."""

from coc_labeling.pictures.plan import Shown
from coc_labeling.pictures.run import PictureRequest, PictureResult, render_clips

__all__ = ["PictureRequest", "PictureResult", "Shown", "render_clips"]
