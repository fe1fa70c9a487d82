"""One torch thread: the tests are small, and other processes share the machine."""

import torch

torch.set_num_threads(1)
