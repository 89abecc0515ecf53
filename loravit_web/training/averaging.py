"""Mean of the parameters over the last steps of a training (stochastic weight averaging).

With the parameters p_t after step t, the kept ones are (p_s + ... + p_t) / (t - s + 1) from step s on. They
lie in a flatter region than the last ones and predict better (Izmailov et al. 2018, "Averaging weights leads
to wider optima and better generalization"). Here the learning rate goes on decaying meanwhile, and s is the
middle of the training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


class ParameterMean:
    """Running mean of parameters; exact however a training is interrupted between two additions.

    Args:
        values: Mean so far; empty if there is none.
        count: Number of values in it.

    Attributes:
        values: Mean, one tensor for each parameter; empty before the first addition.
        count: Number of additions.
    """

    def __init__(self, values: Sequence[torch.Tensor] = (), count: int = 0) -> None:
        self.values, self.count = list(values), count

    def add(self, parameters: Sequence[torch.Tensor]) -> None:
        """Add the values that the parameters have now."""
        self.count += 1
        if self.count == 1:
            self.values = [parameter.detach().clone() for parameter in parameters]
        for mean, parameter in zip(self.values, parameters, strict=True):
            mean.lerp_(parameter.detach(), 1 / self.count)
