"""Copies of teachers that teach in place of the latest weights."""

import copy

import torch
import torch.nn as nn


class TeacherSnapshots(nn.ModuleDict):
    """Frozen copies of teachers: the best so far, or a running average.

    A copy teaches as soon as hooks have put weights into it. Keeping copies
    stands for loading and restoring weights: the teacher's own training goes
    on from its latest, and checkpoints hold both. Example of the state::

        {'teacher:zebra': [41.2]}   # taught by the copy, with its scores
    """

    def __init__(self):
        super().__init__()
        self.scores: dict[str, list[float]] = {}

    def include(self, name: str, domain: str, network: nn.Module):
        """Make room for the copy of one teacher."""
        self[f'{name}:{domain}'] = copy.deepcopy(network).requires_grad_(False)

    def train(self, mode: bool = True):
        """Stay in eval mode: what teaches is what was scored."""
        return super().train(False)

    def teaching(self, name: str, domain: str) -> nn.Module | None:
        """Return the copy if it teaches."""
        key = f'{name}:{domain}'
        return self[key] if key in self.scores else None

    def keep_if_best(
        self,
        name: str,
        domain: str,
        network: nn.Module,
        scores: list[float],
        lower_is_better: bool = True,
    ) -> bool:
        """Copy a teacher if any of its scores is better than ever.

        Args:
            name (str): Its name.
            domain (str): What it generates.
            network (nn.Module): It, with its latest weights.
            scores (list[float]): Metrics on the split that selects.
            lower_is_better (bool): Whether they are distances.

        Returns:
            bool: Whether it is the best so far.
        """
        key, sign = f'{name}:{domain}', 1 if lower_is_better else -1
        best = self.scores.get(key, [sign * float('inf')] * len(scores))
        better = [sign * s < sign * b for s, b in zip(scores, best)]
        if any(better):
            self.scores[key] = [float(s) if up else b for s, b, up in zip(scores, best, better)]
            self[key].load_state_dict(network.state_dict())
        return any(better)

    @torch.no_grad()
    def average(self, name: str, domain: str, network: nn.Module, momentum: float):
        """Move a copy by ``momentum`` towards the latest weights.

        The first time it takes them whole, and buffers always: a statistic
        of batch norm is an average already.
        """
        key = f'{name}:{domain}'
        if key not in self.scores:
            self.scores[key], momentum = [], 1.0
        pairs = zip(self[key].parameters(), network.parameters())
        for own, latest in pairs:
            own.lerp_(latest, momentum)
        for own, latest in zip(self[key].buffers(), network.buffers()):
            own.copy_(latest)
