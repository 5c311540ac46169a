"""When does who train: the schedule as a pure function of the iteration.

Nothing here is state: from the iteration alone follow the phase, the learning
rate and the moments of evaluation, so a resumed run cannot disagree with the
one that was killed.
"""

import math
from dataclasses import dataclass

from .messages import check_range


@dataclass(frozen=True)
class TrainSchedule:
    """Epochs with constant and then decaying rate, cut into blocks.

    One block is ``block`` epochs of teacher training followed by
    ``student_epochs`` epochs in which only the student moves; with
    ``student_epochs=0`` both train jointly all the time. Networks are
    evaluated at the end of each block. The learning rate follows the
    teacher's epoch alone (OMGD/trainer.py: schedulers step once per teacher
    epoch), so it is constant while the student phase lasts.

    Example:
        >>> # horse2zebra of OMGD: 20 blocks of 10 + 40 epochs
        >>> s = TrainSchedule(epochs=200, constant=100, block=10,
        ...                   student_epochs=40, iters_per_epoch=2)
        >>> s.total_iters, s.phase(19), s.phase(20)
        (2000, 'teacher', 'student')

    Args:
        epochs (int): Teacher epochs in all, constant and decaying.
        constant (int): Epochs before the rate starts to decay.
        block (int): Teacher epochs in a block.
        student_epochs (int): Student epochs at the end of a block.
        iters_per_epoch (int): Iterations that one epoch has; 1 turns every
            other figure into a number of iterations.
        halving (int): Epochs after which the rate is halved, each time; 0:
            never.

    Raises:
        ValueError: If a figure is out of range.
    """

    epochs: int
    constant: int
    block: int
    student_epochs: int = 0
    iters_per_epoch: int = 1
    halving: int = 0

    def __post_init__(self):
        least_of = dict(epochs=1, block=1, student_epochs=0, iters_per_epoch=1, halving=0)
        for name, least in least_of.items():
            check_range(name, getattr(self, name), least)
        check_range('constant', self.constant, 0, self.epochs)

    @property
    def blocks(self) -> int:
        """Number of blocks; the last one may have fewer teacher epochs."""
        return math.ceil(self.epochs / self.block)

    @property
    def total_iters(self) -> int:
        """Iterations of the whole run."""
        return (self.epochs + self.blocks * self.student_epochs) * self.iters_per_epoch

    def _locate(self, iteration: int) -> tuple[int, int, int]:
        """Return block, position in it and its number of teacher steps."""
        full = (self.block + self.student_epochs) * self.iters_per_epoch
        block = min(iteration // full, self.blocks - 1)
        teacher = min(self.block, self.epochs - block * self.block)
        return (block, iteration - block * full, teacher * self.iters_per_epoch)

    def phase(self, iteration: int) -> str:
        """Return ``'joint'``, ``'teacher'`` or ``'student'``."""
        if not self.student_epochs:
            return 'joint'
        _, position, teacher = self._locate(iteration)
        return 'teacher' if position < teacher else 'student'

    def epoch(self, iteration: int) -> int:
        """Return the 1-based epoch of the teacher at 0-based ``iteration``."""
        block, position, teacher = self._locate(iteration)
        done = block * self.block * self.iters_per_epoch + min(position, teacher - 1)
        return done // self.iters_per_epoch + 1

    def lr_factor(self, iteration: int) -> float:
        """Return the factor of the base rate at 0-based ``iteration``.

        ``1 - max(0, e - constant) / (decay + 1)`` with the 1-based teacher
        epoch e (OMGD/models/networks.py: get_scheduler, 'linear'), halved
        after each ``halving`` epochs.
        """
        decay, epoch = self.epochs - self.constant, self.epoch(iteration)
        halved = 0.5 ** ((epoch - 1) // self.halving) if self.halving else 1.0
        return halved * (1 - max(0, epoch - self.constant) / (decay + 1))

    def remaining(self, iteration: int) -> dict[str, int]:
        """Return how many iterations of each phase follow 0-based
        ``iteration``; ``'joint'`` is counted as ``'teacher'``.
        """
        block, position, teacher = self._locate(iteration)
        per_block = self.student_epochs * self.iters_per_epoch
        taught = block * self.block * self.iters_per_epoch + min(position + 1, teacher)
        return dict(
            teacher=self.epochs * self.iters_per_epoch - taught,
            student=(self.blocks - block) * per_block - max(0, position + 1 - teacher),
        )

    def ends_block(self, iteration: int) -> bool:
        """Tell whether this iteration is the last one of a block."""
        _, position, teacher = self._locate(iteration)
        student = self.student_epochs * self.iters_per_epoch
        return position == teacher + student - 1

    def ends_teacher_phase(self, iteration: int) -> bool:
        """Tell whether this is the teacher's last iteration of a block."""
        _, position, teacher = self._locate(iteration)
        return position == teacher - 1
