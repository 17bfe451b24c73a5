"""Lets a torchvision that was built for CUDA be imported next to a torch that was built for the CPU.

Its compiled part cannot be loaded there, so that the operators which its Python part refers to do not exist, and
importing it fails. They are declared, without an implementation, when torchvision is first imported: what vLLM and
transformers use of it (resizing of pictures) needs none of them. install.sh puts this file into the environment's
site-packages, and a ``.pth`` file that imports it, where torchvision cannot be imported otherwise.
"""

import importlib.abc
import importlib.util
import sys

_OPERATORS = ("nms", "qnms")


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        import torch

        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in _OPERATORS:
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        self.library = library  # the operators live as long as it does
        _keep.append(self)
        return importlib.util.find_spec(name)


_keep: list[_Finder] = []
sys.meta_path.insert(0, _Finder())
