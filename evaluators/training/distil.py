"""Learning from a teacher's logits beside the labels; it knows no training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Teacher:
    """`logits` maps normalised images (N, C, H, W) to (N, classes); `weight` is its share of the loss, 0 to 1.

    Both logits are softened by `temperature` (Hinton et al. 2015, equation 1).
    """

    logits: Callable[[Tensor], Tensor]
    weight: float = 0.5
    temperature: float = 4.0

    def mix(self, loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """The loss on the labels, mixed with the divergence from the teacher, times temperature² as in Hinton et al. 2015."""
        with torch.no_grad():
            wanted = F.log_softmax(self.logits(images).float() / self.temperature, dim=1)
        given = F.log_softmax(logits.float() / self.temperature, dim=1)
        divergence = F.kl_div(given, wanted, reduction="batchmean", log_target=True) * self.temperature**2
        return (1 - self.weight) * loss + self.weight * divergence
