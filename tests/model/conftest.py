"""Settings of the tests that need PyTorch."""

import torch

torch.set_num_threads(1)  # tensors are small, and machines shared
