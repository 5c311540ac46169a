"""A method outside the package: the student also learns from mirror images."""

from mmgan_compress.core.training import update
from mmgan_compress.distillers.base import BaseDistiller, detached
from mmgan_compress.registry import DISTILLERS, MODELS


@DISTILLERS.register_module()
class MirrorDistiller(BaseDistiller):
    """Train the student on each image, and on its mirror image."""

    def __init__(self, teacher: dict, **kwargs):
        super().__init__(**kwargs)
        self.teacher = MODELS.build(teacher)

    def latest_networks(self):
        return {'teacher': self.teacher.generators}

    def train_step(self, inputs, optim_wrapper):
        self.iteration += 1
        (domain,) = self.model.domains
        source = self.model.input_of(domain, inputs)
        student = optim_wrapper['student']
        targets = self.teach(domain, inputs, optim_wrapper)
        mirrored = {k: (x.flip(-1), {}) for k, (x, _) in targets.items()}
        losses = self.student_losses(domain, source, targets, student)
        again = self.student_losses(domain, source.flip(-1), mirrored, student)
        losses.update({f'{key}_mirrored': loss for key, loss in again.items()})
        update(student, sum(losses.values()))
        return detached(losses)
