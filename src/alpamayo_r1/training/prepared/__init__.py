"""Pictures and paths of examples on disk, so that training decodes no video: made once, by worker processes.

Nothing here needs PyTorch.
"""

from alpamayo_r1.training.prepared.frame_size import FrameSize
from alpamayo_r1.training.prepared.prepared_set import About, PreparedScene, PreparedSet
from alpamayo_r1.training.prepared.preparing import SUMMARY, left_out_of, prepare
from alpamayo_r1.training.prepared.request import PrepareRequest

__all__ = ["SUMMARY", "About", "FrameSize", "PrepareRequest", "PreparedScene", "PreparedSet", "left_out_of", "prepare"]
