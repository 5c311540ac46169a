"""Base of all distillers: teachers, losses, the student's half of a step.

A method is a class that says who teaches, and a recipe with its losses::

    @DISTILLERS.register_module()
    class MyDistiller(BaseDistiller):

        def __init__(self, teacher, **kwargs):
            super().__init__(**kwargs)
            self.teacher = MODELS.build(teacher)

        def latest_networks(self):
            return {'teacher': self.teacher.generators}  # by domain

That trains a student beside teachers that stay as they are. A method whose
teachers, or whose student, learn otherwise overrides :meth:`~BaseDistiller.
train_step`, in which :meth:`~BaseDistiller.student_step` is the student's
half. ``projects/own_method`` is a complete example; ``losses/base.py`` says
what a loss is.
"""

import dataclasses
import inspect
from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from ..core.channels import input_shape
from ..core.checkpoints import file_faults, mismatch, read_checkpoint, weights_in
from ..core.feature_extraction import disable_inplace, forward_with_features
from ..core.remembering import RememberedOutputs
from ..core.schedule import TrainSchedule
from ..core.training import frozen, update
from ..losses.base import AUTO_LAYERS, DistillBatch, DistillLoss
from ..losses.gan import gan_loss
from ..models.topology import feature_layers
from ..registry import MODELS
from .teacher_loading import (
    check_loss,
    check_loss_layers,
    check_teachers,
    image_only,
    load_teachers,
    teacher_faults,
)
from .teacher_snapshots import TeacherSnapshots

# Only channel counts are read at this size, on the meta device; it suits
# every generator, U-Nets with eight levels included.
_PROBE_SIDE = 256
# where a checkpoint of a run has the student's discriminators
_DISCRIMINATORS = 'distiller.student_discriminators'


class BaseDistiller(nn.Module):
    """How a student learns from its teachers.

    The model is reached as ``self.model``; the student for a domain is
    ``self.model.generators[domain]``. ``method`` is the name under which the
    config asks for the distiller: results and checkpoints are marked by it.

    The gradients of the parts of a batch, on several processes or of several
    iterations (``accumulative_counts``), are averaged. So that a sum over
    images is that of the whole batch, it is multiplied by the number of
    parts, ``self.batch_parts``.

    Args:
        schedule (dict): Arguments of :class:`TrainSchedule`. Where it gives
            no ``iters_per_epoch``, the train loop fills in the loader's.
        losses (Sequence[dict]): Configs of the distillation losses.
        perceptual (dict | None): Config of the perceptual network; VGG-16
            with ImageNet weights where a loss uses one.
        teacher_checkpoints (Sequence[str]): Files from which teachers and
            discriminators start (``mmgan-compress teachers`` writes them; the
            checkpoint of a mmagic CycleGAN is one as it is).
        offline (bool): Teachers are what the checkpoints hold, in eval mode,
            and never train; or they are no networks of ours at all
            (``models/image_teachers.py``).
        teacher_snapshots (bool): Keep a copy of each teacher that can teach
            in its place: hooks put the best weights or an average into it.
        student_discriminator (dict | None): Config of the discriminator that
            a student plays against, one for each domain.
        discriminator_checkpoint (str | None): Checkpoint of a run with such
            discriminators, or its file ``last_checkpoint``; they go on.
        remembered_images (int): For so many images a finished teacher runs
            once, and its picture stays in memory. It pays where the same
            pixels come again, without random crops.
    """

    # whether the student plays against discriminators of its own
    adversarial = False
    gan_type = 'lsgan'  # their adversarial loss
    discriminator_loss_weight = 0.5  # of their losses of real and of fake images
    # what discriminators are shown first: their spectral norms go on with each
    discriminator_order = ('fake', 'real')
    uses_perceptual = False  # whether the step itself asks the perceptual network
    reported_teachers: Sequence[str] = ()
    # further passes over the training data that a step asks for
    streams: Sequence[str] = ()
    # domain whose images make an epoch; None: that of the most
    epoch_domain: str | None = None

    def __init_subclass__(cls, **kwargs):
        """Give the class one signature: all arguments that it takes."""
        super().__init_subclass__(**kwargs)
        known = {}
        for base in cls.__mro__[: cls.__mro__.index(BaseDistiller) + 1]:
            own = (
                inspect.signature(base.__init__).parameters.values()
                if '__init__' in vars(base)
                else []
            )
            for argument in own:
                if argument.name != 'self' and argument.kind is not argument.VAR_KEYWORD:
                    known.setdefault(argument.name, argument.replace(kind=argument.KEYWORD_ONLY))
        cls.__signature__ = inspect.Signature(list(known.values()))

    def __init__(
        self,
        schedule: dict,
        losses: Sequence[dict] = (),
        perceptual: dict | None = None,
        teacher_checkpoints: Sequence[str] = (),
        offline: bool = False,
        teacher_snapshots: bool = False,
        student_discriminator: dict | None = None,
        discriminator_checkpoint: str | None = None,
        remembered_images: int = 0,
    ):
        super().__init__()
        self.method = type(self).__name__
        if remembered_images and not offline:
            raise ValueError(
                f'remembered_images={remembered_images} needs offline=True: '
                'the pictures of teachers that train change'
            )
        if self.adversarial and student_discriminator is None:
            raise ValueError(
                f'{self.method} needs student_discriminator, the config of a discriminator'
            )
        if not (losses or self.adversarial):
            raise ValueError(
                f'{self.method} needs losses: those of the papers are in configs/_base_/losses'
            )
        self.teacher_checkpoints = list(teacher_checkpoints)
        self.offline = offline
        self.schedule_by_epoch = 'iters_per_epoch' not in schedule
        self.schedule = TrainSchedule(**schedule)
        self.iteration = 0
        self.batch_parts = 1
        self.loss_cfgs = list(losses)
        self._perceptual_cfg = perceptual or dict(type='VGG16Features', _scope_='mmgan_compress')
        self._has_snapshots = teacher_snapshots and not offline
        self._discriminator_cfg = student_discriminator
        self.discriminator_checkpoint = discriminator_checkpoint
        self.losses = nn.ModuleDict()
        self.teacher_snapshots = TeacherSnapshots()
        self.student_discriminators = nn.ModuleDict()
        self.perceptual = None
        self.remembered_images = remembered_images
        self._remembered: dict[tuple[str, str], RememberedOutputs] = {}

    # --- what a method says ---------------------------------------------
    def latest_networks(self) -> dict[str, dict[str, nn.Module]]:
        """Return the teachers by name, each by the domain it generates.

        They are the latest weights of teachers that train;
        :meth:`network` is what teaches. ``{}`` is no teacher. Example::

            {'wide': {'shoes': UnetGenerator()}}
        """
        raise NotImplementedError

    def teacher_side(self) -> list[nn.Module]:
        """Return what is initialised or loaded, and frozen offline: teachers
        and their discriminators.
        """
        networks = {
            id(net): net
            for nets in self.latest_networks().values()
            for net in nets.values()
            if not image_only(net)
        }
        return list(networks.values())

    def discriminator_of(self, name: str, domain: str) -> nn.Module | None:
        """Return the discriminator of a teacher, or None."""
        return None

    @staticmethod
    def discriminator_input(source: Tensor, image: Tensor) -> Tensor:
        """Return what discriminators are shown of an image: by default it,
        conditional ones are shown the source (N, C, H, W) beside it.
        """
        return image

    def train_step(self, inputs: dict[str, Tensor], optim_wrapper) -> dict[str, Tensor]:
        """Take one step on a preprocessed batch.

        This one lets the student learn from teachers that stay as they are.
        A step counts ``self.iteration`` and makes every update itself:
        ``core/training.update(optim_wrapper[name], loss)``.

        Args:
            inputs (dict[str, Tensor]): ``img_<domain>`` of both domains,
                (N, C, H, W) in [-1, 1]; ``img_teacher_<domain>`` of a
                teacher that is a folder of images; each of ``streams`` as
                such a dict by its name.
            optim_wrapper (OptimWrapperDict): Optimizers by their names in
                the recipe; ``'student'`` is there always.

        Returns:
            dict[str, Tensor]: Scalars to log, without a graph.
        """
        self.iteration += 1
        return self.student_step(inputs, optim_wrapper)

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
                for index, cfg in enumerate(self.loss_cfgs)
            )
        losses = [loss for group in self.losses.values() for loss in group]
        asking = [loss for loss in losses if loss.uses_perceptual]
        if self.uses_perceptual or asking:
            self.perceptual = MODELS.build(self._perceptual_cfg)
            deepest = [loss.deepest_feature for loss in asking]
            if None not in deepest and not self.uses_perceptual:
                self.perceptual.keep(max(deepest) + 1)
        if self.offline:
            for network in self.teacher_side():
                network.requires_grad_(False)
        for domain in model.domains if self._discriminator_cfg else []:
            self.student_discriminators[domain] = MODELS.build(self._discriminator_cfg)

    def _build_loss(self, cfg: dict, domain: str, setting: str) -> DistillLoss:
        known = {name: nets[domain] for name, nets in self.latest_networks().items()}
        student = self.model.generators[domain]
        teacher = known.get(next(iter(cfg.get('teachers') or known), None))
        if cfg.get('layers') == AUTO_LAYERS and teacher is not None:
            cfg = dict(cfg, layers=feature_layers(student), target_layers=feature_layers(teacher))
        loss = MODELS.build(cfg)
        loss.teachers = list(loss.teachers or known)
        unknown = [t for t in loss.teachers if t not in known]
        if unknown:
            raise KeyError(
                f'{type(loss).__name__} names the teacher {unknown[0]!r}; known are {list(known)}'
            )
        if loss.needs_teacher and not known:
            raise ValueError(
                f'{type(loss).__name__} needs a teacher, and '
                'the distiller has none: leave the loss out'
            )
        for name in loss.teachers if loss.needs_teacher else []:
            check_loss(loss, name, known[name], self.discriminator_of(name, domain))
        teachers = {name: known[name] for name in loss.teachers}
        check_loss_layers(loss, cfg, setting, student, teachers)
        loss.connect(student, teachers, input_shape(student, _PROBE_SIDE))
        return loss

    def init_weights(self):
        """Initialise all but the student, from checkpoints where given."""
        for network in self.teacher_side():
            network.init_weights()
        if self.teacher_checkpoints:
            load_teachers(self, self.teacher_checkpoints)
        for network in self.student_discriminators.values():
            network.init_weights()
        if self.discriminator_checkpoint:
            self.student_discriminators.load_state_dict(
                weights_in(read_checkpoint(self.discriminator_checkpoint), _DISCRIMINATORS),
                strict=False,
            )

    def teacher_faults(self) -> list[str]:
        """Say why checkpoints of teachers and discriminators cannot be
        loaded.
        """
        faults = teacher_faults(self, self.teacher_checkpoints, self._trained_networks())
        if self.discriminator_checkpoint:
            path = self.discriminator_checkpoint
            faults += file_faults(
                path,
                f'{path} does not fit student_discriminator',
                lambda content: mismatch(
                    self.student_discriminators.state_dict(), weights_in(content, _DISCRIMINATORS)
                ),
            )
        return faults

    def _trained_networks(self) -> list[nn.Module]:
        """Return what a checkpoint must hold: offline, what teaches."""
        if not self.offline:
            return self.teacher_side()
        needed = []
        for domain in self.model.domains:
            for name, networks in self.latest_networks().items():
                needed.append(networks[domain])
                if any(
                    loss.uses_discriminator and name in loss.teachers
                    for loss in self.losses[domain]
                ):
                    needed.append(self.discriminator_of(name, domain))
        return needed

    def set_epoch_length(self, iterations: int):
        """Fill in the loader's length where the schedule counts epochs."""
        if self.schedule_by_epoch:
            self.schedule = dataclasses.replace(self.schedule, iters_per_epoch=iterations)

    def train(self, mode: bool = True):
        """Set the mode; what is frozen stays in eval mode."""
        super().train(mode)
        for network in self.teacher_side() if self.offline else []:
            network.eval()
        return self

    # --- the teachers -----------------------------------------------------
    def network(self, name: str, domain: str) -> nn.Module:
        """Return who teaches now, a teacher's latest weights or its
        snapshot; ``'latest:<name>'`` is the teacher as it trains.
        """
        plain = name.removeprefix('latest:')
        snapshot = self.teacher_snapshots.teaching(name, domain)
        return snapshot or self.latest_networks()[plain][domain]

    def run_teacher(self, name: str, domain: str, inputs: dict):
        """Return a teacher's image and the features that losses ask for."""
        network = self.network(name, domain)
        if getattr(network, 'stored', False):
            return inputs[network.key.format(domain=domain)], {}
        source = self.model.input_of(domain, inputs)
        layers = self.layers_of(domain, name.removeprefix('latest:'))
        if self.remembered_images and not layers:
            known = RememberedOutputs(self.remembered_images)
            return self._remembered.setdefault((name, domain), known).run(network, source), {}
        return forward_with_features(network, source, layers)

    def discriminate(self, name: str, domain: str, source: Tensor, image: Tensor):
        """Return logits and features that a teacher's discriminator has for
        an image; its parameters get no gradient, the image does.
        """
        network = self.discriminator_of(name, domain)
        with frozen(network):
            return forward_with_features(
                network,
                self.discriminator_input(source, image),
                self._layers(domain, 'discriminator_layers', name),
            )

    def teach(self, domain: str, inputs: dict, optim_wrapper) -> dict:
        """Return what the teachers make of a batch, without gradient.

        Args:
            domain (str): What is generated.
            inputs (dict[str, Tensor]): As of :meth:`train_step`.
            optim_wrapper (OptimWrapperDict): For the student's AMP context.

        Returns:
            dict[str, tuple]: Image (N, C, H, W) and features by layer
            ``{'model.9': (N, C, H, W)}``, by teacher.
        """
        with torch.no_grad(), optim_wrapper['student'].optim_context(self.model):
            return {name: self.run_teacher(name, domain, inputs) for name in self.latest_networks()}

    # --- the student ----------------------------------------------------
    def layers_of(self, domain: str, teacher: str | None = None) -> list:
        """Return the layers to compare: the student's, or one teacher's."""
        if teacher is None:
            return self._layers(domain, 'layers')
        return self._layers(domain, 'target_layers', teacher)

    def _layers(self, domain: str, kind: str, teacher: str | None = None):
        """Collect what losses of weight ask for, each layer once."""
        return list(
            dict.fromkeys(
                layer
                for loss in self.losses[domain]
                if loss.weight and (teacher is None or teacher in loss.teachers)
                for layer in getattr(loss, kind)
            )
        )

    def distilling(self, domain: str) -> bool:
        """Tell whether any loss of weight asks a teacher."""
        return any(loss.weight and loss.needs_teacher for loss in self.losses[domain])

    def run_student(self, domain: str, source: Tensor, wrapper):
        """Return the student's image and the features that losses ask for.

        Args:
            domain (str): What is generated.
            source (Tensor): Input images, (N, C, H, W) in [-1, 1].
            wrapper (OptimWrapper): The student's, for its AMP context.
        """
        with wrapper.optim_context(self.model):
            return forward_with_features(
                self.model.generators[domain], source, self.layers_of(domain)
            )

    def student_step(
        self, inputs: dict[str, Tensor], optim_wrapper, targets: dict[str, dict] | None = None
    ) -> dict[str, Tensor]:
        """Update the student by its distillation losses.

        Args:
            inputs (dict[str, Tensor]): As of :meth:`train_step`.
            optim_wrapper (OptimWrapperDict): Optimizers.
            targets (dict | None): By domain, what :meth:`teach` returns; it
                is asked if None.

        Returns:
            dict[str, Tensor]: The losses, to log.
        """
        wrapper, losses = optim_wrapper['student'], {}
        for domain in filter(self.distilling, self.model.domains):
            losses.update(
                self.student_losses(
                    domain,
                    self.model.input_of(domain, inputs),
                    targets[domain] if targets else self.teach(domain, inputs, optim_wrapper),
                    wrapper,
                )
            )
        update(wrapper, sum(losses.values()))
        return detached(losses)

    def student_losses(
        self, domain: str, source: Tensor, targets: dict[str, tuple], wrapper
    ) -> dict:
        """Run the student and return its weighted distillation losses.

        Args:
            domain (str): What is generated.
            source (Tensor): Input images, (N, C, H, W) in [-1, 1].
            targets (dict): Of :meth:`teach`.
            wrapper (OptimWrapper): The student's, for its AMP context.
        """
        image, features = self.run_student(domain, source, wrapper)
        return self.distillation_losses(domain, source, image, features, targets)

    def distillation_losses(
        self,
        domain: str,
        source: Tensor,
        image: Tensor,
        features: dict,
        targets: dict[str, tuple],
        **given,
    ) -> dict[str, Tensor]:
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
                k: {n: f.detach() for n, f in v[1].items()} for k, v in targets.items()
            },
            perceptual=self.perceptual,
            discriminate=lambda name, shown: self.discriminate(name, domain, source, shown),
            **given,
        )
        losses = {}
        # SSIM's variances, Gram matrices and the weight 1e4 need float32
        with torch.autocast(source.device.type, enabled=False):
            for loss in self.losses[domain]:
                names = loss.teachers if loss.needs_teacher else [None]
                for name in names if loss.weight else []:
                    key = '_'.join(filter(None, ('loss', loss.name, domain, name)))
                    parts = self.batch_parts if loss.sums_images else 1
                    losses[key] = parts * loss.weight * loss(batch, name)
        return losses

    # --- the student's discriminators -------------------------------------
    def gates(self, domain: str) -> Sequence[nn.Module]:
        """Return parts of the discriminator that learn at other times."""
        return ()

    def logits(self, domain: str, shown: Tensor) -> Tensor:
        """Return logits of the student's discriminator.

        Args:
            domain (str): What is generated.
            shown (Tensor): Of :meth:`discriminator_input`.
        """
        return self.student_discriminators[domain](shown)

    def adversarial_loss(self, domain: str, source: Tensor, image: Tensor, wrapper) -> Tensor:
        """Return the unweighted adversarial loss of the student, a scalar;
        the discriminator gets no gradient.

        Args:
            domain (str): What is generated.
            source (Tensor): Input images, (N, C, H, W) in [-1, 1].
            image (Tensor): The student's, with its graph.
            wrapper (OptimWrapper): The student's, for its AMP context.
        """
        with frozen(self.student_discriminators[domain]), wrapper.optim_context(self.model):
            logits = self.logits(domain, self.discriminator_input(source, image))
        return gan_loss(self.gan_type, logits, 'g')

    def student_discriminator_losses(
        self, domain: str, real: Tensor, fakes: Sequence[Tensor], wrapper
    ) -> dict[str, Tensor]:
        """Return the losses of the student's discriminator: of the mean over
        the fakes, and of the real images, each times
        ``discriminator_loss_weight``. Its gates are left out.

        Args:
            domain (str): What is generated.
            real (Tensor): Of :meth:`discriminator_input`.
            fakes (Sequence[Tensor]): The same of images of the student,
                without graph.
            wrapper (OptimWrapper): Of the discriminator, for its AMP context.
        """
        shown, weight, losses = dict(fake=fakes, real=[real]), self.discriminator_loss_weight, {}
        with frozen(*self.gates(domain)), wrapper.optim_context(self.model):
            for role in self.discriminator_order:
                each = [
                    gan_loss(self.gan_type, self.logits(domain, image), role)
                    for image in shown[role]
                ]
                losses[f'loss_disc_{role}'] = weight * sum(each) / len(each)
        return losses


def detached(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the losses without their graph, for the log."""
    return {k: v.detach() for k, v in losses.items()}
