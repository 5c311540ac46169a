"""What all distillers share: teachers, losses and their taps."""
import dataclasses
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn as nn
from torch import Tensor

from ..core.channels import image_channels
from ..core.schedule import TrainSchedule
from ..core.feature_extraction import disable_inplace, forward_with_taps
from ..core.training import frozen
from ..losses.base import AUTO_LAYERS, DistillBatch, DistillLoss
from ..models.topology import feature_layers
from ..registry import MODELS
from .teacher_snapshots import TeacherSnapshots
from .teacher_loading import (check_loss, check_loss_layers, check_teachers,
                              load_teachers, teacher_faults)

# Only channel counts are read at this size, on the meta device; it suits
# every generator, U-Nets with eight levels included.
_PROBE_SIDE = 256


class BaseDistiller(nn.Module):
    """Base of the methods: how a student learns from its teachers.

    A method overrides :meth:`latest_networks` and :meth:`train_step`. The
    model is reached as ``self.model``; the student for a domain is
    ``self.model.generators[domain]``.

    The gradients of the parts of a batch, on several processes or of several
    iterations (``accumulative_counts``), are averaged. So that a sum over
    images is that of the whole batch, it is multiplied by the number of
    parts, ``self.batch_parts``.

    Args:
        losses (Sequence[dict]): Configs of the distillation losses.
        schedule (dict): Arguments of :class:`TrainSchedule`. Where it gives
            no ``iters_per_epoch``, the train loop fills in the loader's.
        perceptual (dict | None): Config of the perceptual network; VGG-16
            with ImageNet weights where a loss uses one.
        teacher_checkpoints (Sequence[str]): Files from which teachers and
            discriminators start (``mmgan-compress teachers`` writes them; the
            checkpoint of a mmagic CycleGAN is one as it is).
        offline (bool): Teachers are what the checkpoints hold, in eval mode,
            and never train; or they are no networks of ours at all
            (``models/image_teachers.py``).
        teacher_snapshots (bool): Keep a copy of each teacher that can teach in its
            place: hooks put the best weights or an average into it.

    ``method`` is the name under which the config asks for the distiller;
    results and checkpoints are marked by it.
    """
    reported_teachers: Sequence[str] = ()
    # further passes over the training data that a step asks for
    streams: Sequence[str] = ()
    # domain whose images make an epoch; None: that of the most
    epoch_domain: Optional[str] = None

    def __init__(self,
                 losses: Sequence[dict],
                 schedule: dict,
                 perceptual: Optional[dict] = None,
                 teacher_checkpoints: Sequence[str] = (),
                 offline: bool = False,
                 teacher_snapshots: bool = False):
        super().__init__()
        self.teacher_checkpoints = list(teacher_checkpoints)
        self.offline = offline
        self.schedule_by_epoch = 'iters_per_epoch' not in schedule
        self.schedule = TrainSchedule(**schedule)
        self.iteration = 0
        self.batch_parts = 1
        self.method = type(self).__name__
        self.loss_cfgs = list(losses)
        self._perceptual_cfg = perceptual or dict(
            type='VGG16Features', _scope_='mmgan_compress')
        self._has_snapshots = teacher_snapshots and not offline
        self.losses = nn.ModuleDict()
        self.teacher_snapshots = TeacherSnapshots()
        self.perceptual = None

    # --- building -----------------------------------------------------
    def attach(self, model):
        """Join the model; checks layers and teachers by name.

        Raises:
            KeyError: If a loss names an unknown teacher or layer.
            ValueError: If a loss asks for what its teacher does not have.
        """
        # not a sub-module: the model owns the distiller
        self.__dict__['model'] = model
        check_teachers(self)
        for network in [*model.generators.values(), *self.teacher_side()]:
            disable_inplace(network)
        for domain in model.domains:  # after in-place layers were mended
            for name, networks in self.latest_networks().items():
                if self._has_snapshots:
                    self.teacher_snapshots.include(name, domain, networks[domain])
            self.losses[domain] = nn.ModuleList(
                self._build_loss(cfg, domain, f'losses[{index}]')
                for index, cfg in enumerate(self.loss_cfgs))
        losses = [t for group in self.losses.values() for t in group]
        if any(loss.uses_perceptual for loss in losses):
            self.perceptual = MODELS.build(self._perceptual_cfg)
        if self.offline:
            for network in self.teacher_side():
                network.requires_grad_(False)

    def _build_loss(self, cfg: dict, domain: str,
                    setting: str) -> DistillLoss:
        known = {name: nets[domain] for name, nets in
                 self.latest_networks().items()}
        student = self.model.generators[domain]
        teacher = known.get(next(iter(cfg.get('teachers') or known), None))
        if cfg.get('layers') == AUTO_LAYERS and teacher is not None:
            cfg = dict(cfg, layers=feature_layers(student),
                       target_layers=feature_layers(teacher))
        loss = MODELS.build(cfg)
        loss.teachers = list(loss.teachers or known)
        unknown = [t for t in loss.teachers if t not in known]
        if unknown:
            raise KeyError(f'{type(loss).__name__} names the teacher '
                           f'{unknown[0]!r}; known are {list(known)}')
        if loss.needs_teacher and not known:
            raise ValueError(f'{type(loss).__name__} needs a teacher, and '
                             'the distiller has none: leave the loss out')
        for name in loss.teachers if loss.needs_teacher else []:
            check_loss(loss, name, known[name],
                       self.discriminator_of(name, domain))
        teachers = {name: known[name] for name in loss.teachers}
        check_loss_layers(loss, cfg, setting, student, teachers)
        loss.connect(student, teachers,
                     (1, image_channels(student), _PROBE_SIDE, _PROBE_SIDE))
        return loss

    def init_weights(self):
        """Initialise the teachers' side, from a checkpoint if one is given.
        """
        for network in self.teacher_side():
            network.init_weights()
        if self.teacher_checkpoints:
            load_teachers(self, self.teacher_checkpoints)

    def teacher_faults(self) -> list[str]:
        """Say why ``teacher_checkpoints`` cannot be loaded."""
        return teacher_faults(self, self.teacher_checkpoints,
                              self._trained_networks())

    def _trained_networks(self) -> list[nn.Module]:
        """Return what a checkpoint must hold: offline, what teaches."""
        if not self.offline:
            return self.teacher_side()
        needed = []
        for domain in self.model.domains:
            for name, networks in self.latest_networks().items():
                needed.append(networks[domain])
                if any(loss.uses_discriminator and name in loss.teachers
                       for loss in self.losses[domain]):
                    needed.append(self.discriminator_of(name, domain))
        return needed

    def set_epoch_length(self, iterations: int):
        """Fill in the loader's length where the schedule counts epochs."""
        if self.schedule_by_epoch:
            self.schedule = dataclasses.replace(
                self.schedule, iters_per_epoch=iterations)

    def train(self, mode: bool = True):
        """Set the mode; what is frozen stays in eval mode."""
        super().train(mode)
        for network in self.teacher_side() if self.offline else []:
            network.eval()
        return self

    # --- to be overridden -----------------------------------------------
    def latest_networks(self) -> dict[str, dict[str, nn.Module]]:
        """Return teachers by name and by the domain that they generate."""
        raise NotImplementedError

    def teacher_side(self) -> list[nn.Module]:
        """Return teachers and discriminators, whatever starts anew."""
        raise NotImplementedError

    def discriminator_of(self, name: str, domain: str) -> Optional[nn.Module]:
        """Return the discriminator of a teacher, or None."""
        return None

    @staticmethod
    def judged_input(source: Tensor, image: Tensor) -> Tensor:
        """Return what discriminators are shown of an image."""
        return image

    def judge(self, name: str, domain: str, source: Tensor, image: Tensor):
        """Return logits and features that a teacher's discriminator has for
        an image; its parameters get no gradient, the image does."""
        network = self.discriminator_of(name, domain)
        with frozen(network):
            return forward_with_taps(
                network, self.judged_input(source, image),
                self._layers(domain, 'discriminator_layers', name))

    def train_step(self, inputs: dict[str, Tensor],
                   optim_wrapper) -> dict[str, Tensor]:
        """Take one step on a preprocessed batch and return what to log."""
        raise NotImplementedError

    def training_state(self) -> dict:
        """Return what parameters and buffers do not hold; plain types."""
        return dict(teacher_snapshots=dict(self.teacher_snapshots.scores))

    def load_training_state(self, state: dict):
        """Take back :meth:`training_state`."""
        self.teacher_snapshots.scores = dict(state['teacher_snapshots'])

    def notes(self) -> list[str]:
        """Return what every result of this run must state."""
        note = getattr(self.perceptual, 'note', '')
        return [f'perceptual network: {note}'] if note else []

    # --- the teachers -----------------------------------------------------
    def network(self, name: str, domain: str) -> nn.Module:
        """Return who teaches now, a teacher's latest weights or its stand-in;
        ``'latest:<name>'`` is the teacher as it trains."""
        plain = name.removeprefix('latest:')
        snapshot = self.teacher_snapshots.teaching(name, domain)
        return snapshot or self.latest_networks()[plain][domain]

    def run_teacher(self, name: str, domain: str, inputs: dict):
        """Return a teacher's image and the features that losses ask for."""
        network = self.network(name, domain)
        if getattr(network, 'stored', False):
            return inputs[f'img_teacher_{domain}'], {}
        return forward_with_taps(
            network, inputs[f'img_{self.model.source_of(domain)}'],
            self.layers_of(domain, name.removeprefix('latest:')))

    # --- the student ----------------------------------------------------
    def layers_of(self, domain: str, teacher: Optional[str] = None) -> list:
        """Return the layers to tap: the student's, or one teacher's."""
        if teacher is None:
            return self._layers(domain, 'layers')
        return self._layers(domain, 'target_layers', teacher)

    def _layers(self, domain: str, kind: str, teacher: Optional[str] = None):
        """Collect what losses of weight ask for, each layer once."""
        return list(dict.fromkeys(
            layer for loss in self.losses[domain]
            if loss.weight and (teacher is None or teacher in loss.teachers)
            for layer in getattr(loss, kind)))

    def distilling(self, domain: str) -> bool:
        """Tell whether any loss of weight asks a teacher."""
        return any(loss.weight and loss.needs_teacher
                   for loss in self.losses[domain])

    def run_student(self, domain: str, source: Tensor, wrapper):
        """Return the student's image and the features that losses ask for.

        Args:
            domain (str): What is generated.
            source (Tensor): Input images, (N, C, H, W) in [-1, 1].
            wrapper (OptimWrapper): The student's, for its AMP context.
        """
        with wrapper.optim_context(self.model):
            return forward_with_taps(self.model.generators[domain], source,
                                     self.layers_of(domain))

    def student_losses(self, domain: str, source: Tensor,
                       targets: dict[str, tuple], wrapper) -> dict:
        """Run the student and return its weighted losses."""
        image, features = self.run_student(domain, source, wrapper)
        return self.distillation_losses(domain, source, image, features, targets)

    def distillation_losses(self, domain: str, source: Tensor, image: Tensor,
                    features: dict, targets: dict[str, tuple],
                    **given) -> dict[str, Tensor]:
        """Return the weighted losses of a forward pass of the student.

        Args:
            domain (str): What is generated.
            source (Tensor): Input images, (N, C, H, W) in [-1, 1].
            image (Tensor): The student's.
            features (dict): Its features by layer.
            targets (dict): Image and features by teacher, as returned by
                :meth:`run_teacher`; detached here.
            given: Further fields of ``DistillBatch``.
        """
        batch = DistillBatch(
            source=source,
            image=image.float(),
            targets={k: v[0].detach().float() for k, v in targets.items()},
            features=features,
            target_features={
                k: {n: f.detach() for n, f in v[1].items()}
                for k, v in targets.items()
            },
            perceptual=self.perceptual,
            judge=lambda name, shown: self.judge(name, domain, source, shown),
            **given)
        losses = {}
        # SSIM's variances, Gram matrices and the weight 1e4 need float32
        with torch.autocast(source.device.type, enabled=False):
            for loss in self.losses[domain]:
                names = loss.teachers if loss.needs_teacher else [None]
                for name in names if loss.weight else []:
                    key = '_'.join(filter(None, (
                        'loss', loss.name, domain, name)))
                    parts = self.batch_parts if loss.sums_images else 1
                    losses[key] = parts * loss.weight * loss(batch, name)
        return losses


def detached(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the losses without their graph, for the log."""
    return {k: v.detach() for k, v in losses.items()}
