"""What all distillers share: terms, their taps, the student's loss."""
import dataclasses
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn as nn
from torch import Tensor

from ..core.schedule import TrainSchedule
from ..core.taps import disable_inplace, forward_with_taps
from ..models.terms import DistillBatch
from ..registry import MODELS

# Only channel counts are read at this size, on the meta device; it suits
# every generator, U-Nets with eight levels included.
_PROBE_SHAPE = (1, 3, 256, 256)


class BaseDistiller(nn.Module):
    """Base of the methods: how a student learns from its teachers.

    A method overrides :meth:`teacher_networks` and :meth:`train_step`. The
    host model is reached as ``self.host``; the student for a domain is
    ``self.host.generators[domain]``.

    Args:
        terms (Sequence[dict]): Configs of the distillation terms.
        schedule (dict): Arguments of :class:`TrainSchedule`. Where it gives
            no ``iters_per_epoch``, the train loop fills in the loader's.
        perceptual (dict | None): Config of the perceptual network; VGG-16
            with ImageNet weights where a term uses one.
        teacher_checkpoints (Sequence[str]): Files from which teachers and
            discriminators start (``tools/save_teachers.py`` writes them).
    """
    reported_teachers: Sequence[str] = ()

    def __init__(self,
                 terms: Sequence[dict],
                 schedule: dict,
                 perceptual: Optional[dict] = None,
                 teacher_checkpoints: Sequence[str] = ()):
        super().__init__()
        self.teacher_checkpoints = list(teacher_checkpoints)
        self.schedule_by_epoch = 'iters_per_epoch' not in schedule
        self.schedule = TrainSchedule(**schedule)
        self.iteration = 0
        self._term_cfgs = list(terms)
        self._perceptual_cfg = perceptual or dict(
            type='VGG16Features', _scope_='mmgan_compress')
        self.terms = nn.ModuleDict()
        self.perceptual = None

    # --- building -----------------------------------------------------
    def attach(self, host):
        """Join the host model; checks layers and teachers by name.

        Raises:
            KeyError: If a term names an unknown teacher or layer.
        """
        # not a sub-module: the host owns the distiller
        self.__dict__['host'] = host
        teachers = self.teacher_networks()
        for networks in [host.generators, *teachers.values()]:
            disable_inplace(nn.ModuleList(networks.values()))
        for domain in host.domains:
            self.terms[domain] = nn.ModuleList(
                self._build_term(cfg, domain) for cfg in self._term_cfgs)
        terms = [t for group in self.terms.values() for t in group]
        if any(term.uses_perceptual for term in terms):
            self.perceptual = MODELS.build(self._perceptual_cfg)

    def _build_term(self, cfg: dict, domain: str) -> nn.Module:
        term = MODELS.build(cfg)
        known = {name: nets[domain] for name, nets in
                 self.teacher_networks().items()
                 if name in self.reported_teachers}
        term.teachers = list(term.teachers or known)
        unknown = [t for t in term.teachers if t not in known]
        if unknown:
            raise KeyError(f'{type(term).__name__} names the teacher '
                           f'{unknown[0]!r}; known are {list(known)}')
        term.connect(self.host.generators[domain],
                     {t: known[t] for t in term.teachers}, _PROBE_SHAPE)
        return term

    def init_weights(self):
        """Initialise the teachers' side, from a checkpoint if one is given.

        Raises:
            RuntimeError: If the checkpoint is of other networks.
        """
        for network in self.teacher_side():
            network.init_weights()
        if not self.teacher_checkpoints:
            return
        state = {}
        for path in self.teacher_checkpoints:
            state.update(torch.load(path, map_location='cpu',
                                    weights_only=True)['state_dict'])
        found = self.load_state_dict(state, strict=False)
        own = {id(t) for net in self.teacher_side()
               for t in [*net.parameters(), *net.buffers()]}
        held = [*self.named_parameters(), *self.named_buffers()]
        missing = [k for k, t in held
                   if id(t) in own and k in found.missing_keys]
        if missing or found.unexpected_keys:
            raise RuntimeError(
                f'{self.teacher_checkpoints} do not hold the teachers of '
                f'this config: missing {missing[:3]}, unexpected '
                f'{found.unexpected_keys[:3]}')

    def set_epoch_length(self, iterations: int):
        """Fill in the loader's length where the schedule counts epochs."""
        if self.schedule_by_epoch:
            self.schedule = dataclasses.replace(
                self.schedule, iters_per_epoch=iterations)

    # --- to be overridden -----------------------------------------------
    def teacher_networks(self) -> dict[str, dict[str, nn.Module]]:
        """Return generators by name and by the domain they generate."""
        raise NotImplementedError

    def teacher_side(self) -> list[nn.Module]:
        """Return teachers and discriminators, whatever starts anew."""
        raise NotImplementedError

    def train_step(self, inputs: dict[str, Tensor],
                   optim_wrapper) -> dict[str, Tensor]:
        """Take one step on a preprocessed batch and return what to log."""
        raise NotImplementedError

    def training_state(self) -> dict:
        """Return what parameters and buffers do not hold; plain types."""
        return {}

    def load_training_state(self, state: dict):
        """Take back :meth:`training_state`."""

    def notes(self) -> list[str]:
        """Return what every result of this run must state."""
        note = getattr(self.perceptual, 'note', '')
        return [f'perceptual network: {note}'] if note else []

    # --- the student ----------------------------------------------------
    def layers_of(self, domain: str, teacher: Optional[str] = None) -> list:
        """Return the layers to tap: the student's, or one teacher's."""
        names = []
        for term in self.terms[domain]:
            if teacher is None:
                names += term.layers
            elif teacher in term.teachers:
                names += term.target_layers
        return list(dict.fromkeys(names))

    def run_teacher(self, name: str, domain: str, source: Tensor):
        """Return a teacher's image and the features that terms ask for."""
        return forward_with_taps(self.teacher_networks()[name][domain],
                                 source, self.layers_of(domain, name))

    def student_losses(self, domain: str, source: Tensor,
                       targets: dict[str, tuple], wrapper) -> dict:
        """Run the student and return its weighted terms.

        Args:
            domain (str): What is generated.
            source (Tensor): Input images, (N, 3, H, W) in [-1, 1].
            targets (dict): Image and features by teacher, as returned by
                :meth:`run_teacher`; detached here.
            wrapper (OptimWrapper): The student's, for its AMP context.
        """
        with wrapper.optim_context(self.host):
            image, features = forward_with_taps(
                self.host.generators[domain], source, self.layers_of(domain))
        batch = DistillBatch(
            source=source,
            image=image.float(),
            targets={k: v[0].detach().float() for k, v in targets.items()},
            features=features,
            target_features={
                k: {n: f.detach() for n, f in v[1].items()}
                for k, v in targets.items()
            },
            perceptual=self.perceptual)
        losses = {}
        # SSIM's variances, Gram matrices and the weight 1e4 need float32
        with torch.autocast(source.device.type, enabled=False):
            for term in self.terms[domain]:
                for teacher in term.teachers:
                    key = f'loss_{term.name}_{domain}_{teacher}'
                    losses[key] = term.weight * term(batch, teacher)
        return losses


def detached(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the losses without their graph, for the log."""
    return {k: v.detach() for k, v in losses.items()}
