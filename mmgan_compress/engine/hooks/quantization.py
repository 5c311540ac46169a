"""Training with quantization: hooks around any distiller."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn as nn
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from ...compat import require
from ...core.logging import quiet
from ...core.messages import check_choice
from ...core.processors import ANY, WEIGHT_BITS
from ...models.quantization import (
    SENSITIVE,
    grid_scales,
    layers_to_quantize,
    nni_scales,
    nni_settings,
)
from ...registry import HOOKS
from ..isolated_runner import wrapper_of
from ..resume import unwrap

_STATE = 'quantization_aware'
_OWN = '_nni_wrapper.'
_LEAST = 1e-8  # of a step that is learnt
ALGORITHMS = ('qat', 'lsq')


@HOOKS.register_module()
class FakeQuantScalesHook(Hook):
    """Put the ranges of a student that rounds into its student files.

    For GAN Slimming with ``quantize``: with it ``mmgan-compress quantize``
    exports the 8 bits that were trained. ``StudentHook`` asks it for them.
    """

    made_by = 'fake_quantize'

    def scales(self, runner: Any) -> dict[str, dict]:
        """Return the scales of each generator by domain."""
        generators = unwrap(runner.model).generators
        return {
            domain: dict(made_by=self.made_by, layers=grid_scales(net))
            for domain, net in generators.items()
        }


@HOOKS.register_module()
class QuantizationAwareHook(FakeQuantScalesHook):
    """Let the student's convolutions round while it trains (NNI).

    Whatever trains the student goes on as before: model, distiller, losses,
    optimizers. Validation and the report score the student that rounds;
    student files hold the float weights, and beside them the scales, of which
    ``mmgan-compress quantize`` makes the int8 file. Checkpoints hold the
    scales.

    ``'qat'`` (Jacob et al., 1712.05877) follows minima and maxima, a scale
    for each filter; ``'lsq'`` (Esser et al., 1902.08153) learns the steps.
    Rounding is NNI's ``QATQuantizer`` and ``LsqQuantizer``. Norms stay
    float.

    Args:
        algorithm (str): ``'qat'`` or ``'lsq'``.
        skip (Sequence[str]): Layers that stay float: names, also with ``*``,
            ``'first'`` and ``'rgb'``, the first and the last convolution.
        outputs (bool): Round what convolutions give, too, and not only what
            they read; norms follow, and 5 to 8 dB are lost.
        start (int): Iterations before ``'qat'`` rounds; it follows the
            ranges from the first one on.
        scale_lr (float): Learning rate of the steps of ``'lsq'``, as a share
            of the student's: Adam moves any value by its rate, and steps are
            100 times smaller than weights.
        domains (list[str] | None): Generators; all of the student's if None.
        processor (str): ``'any'`` rounds weights to 7 bits, which give the
            same picture everywhere; ``'vnni'`` to 8 (``core/processors.py``).
            Weights of 8 bits lose one where the file is for any processor.

    Raises:
        ValueError: If a setting is unknown or out of range.
    """

    checkpoint_key = _STATE

    def __init__(
        self,
        algorithm: str = 'qat',
        skip: Sequence[str] = SENSITIVE,
        outputs: bool = False,
        start: int = 0,
        scale_lr: float = 0.01,
        domains: list[str] | None = None,
        processor: str = ANY,
    ):
        check_choice('processor', processor, WEIGHT_BITS)
        check_choice('algorithm', algorithm, ALGORITHMS)
        if start < 0 or scale_lr <= 0 or (start and algorithm == 'lsq'):
            raise ValueError(
                f'start={start}, scale_lr={scale_lr}: expected 0 or more '
                "(0 for 'lsq') and a positive share"
            )
        self.algorithm, self.skip, self.outputs = algorithm, skip, outputs
        self.start, self.scale_lr = start, scale_lr
        self.processor = processor
        self.domains, self.made_by = domains, f'NNI {algorithm}'
        self._quantizers: dict[str, Any] = {}

    # --- what mmengine calls ------------------------------------------------
    def before_run(self, runner):
        if self._quantizers or runner._train_loop is None:
            return
        if is_model_wrapper(runner.model):
            raise ValueError('training with quantization is for one process: leave out --launcher')
        model = runner.model
        self.domains = self.domains or list(model.generators)
        # Runner calls it behind this, when NNI holds the weights
        model.init_weights()
        model.init_weights = lambda: None
        for domain in self.domains:
            network = model.generators[domain]
            wrapper = wrapper_of(network, runner.optim_wrapper)
            self._quantizers[domain] = self._wrap(network, wrapper)

    def before_train(self, runner):
        vars(runner.model).pop('init_weights', None)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for quantizer in self._quantizers.values():
            if self.algorithm == 'lsq':
                for space in _spaces(quantizer):
                    space.scale.data.clamp_(min=_LEAST)
            elif quantizer.current_step < self.start:
                quantizer.current_step += 1
                quantizer.register_qat_apply_method()

    def before_save_checkpoint(self, runner, checkpoint: dict):
        checkpoint[_STATE] = dict(
            algorithm=self.algorithm,
            processor=self.processor,
            networks={
                domain: dict(step=getattr(quantizer, 'current_step', 0), targets=_state(quantizer))
                for domain, quantizer in self._quantizers.items()
            },
        )

    def after_load_checkpoint(self, runner, checkpoint: dict):
        if not runner._resume:
            return
        state = checkpoint.get(_STATE, {})
        made = _about(state.get('algorithm'), state.get('networks', ()), state.get('processor'))
        wanted = _about(self.algorithm, self._quantizers, self.processor)
        if made != wanted:
            raise ValueError(
                f'the checkpoint was not written with {wanted}, but with {made}: resume with the '
                'recipe that wrote it, or start anew with load_from'
            )
        for domain, own in state['networks'].items():
            self._restore(self._quantizers[domain], own)

    def scales(self, runner):
        return {
            domain: dict(made_by=self.made_by, layers=nni_scales(quantizer))
            for domain, quantizer in self._quantizers.items()
        }

    # --- NNI ----------------------------------------------------------------
    def _wrap(self, network: nn.Module, wrapper: Any) -> Any:
        """Let NNI wrap the layers, and the optimizer train what it holds."""
        layers = layers_to_quantize(network, self.skip)
        before = {name: network.get_submodule(name).weight for name in layers}
        how = dict(symmetric=self.algorithm == 'lsq', outputs=self.outputs)
        settings = nni_settings(network, layers, **how, processor=self.processor)
        quantizer = self._quantizer(network, settings)
        after = {id(before[name]): own.weight for name, own in quantizer._module_wrappers.items()}
        for group in wrapper.param_groups:
            group['params'] = [after.get(id(p), p) for p in group['params']]
        if self.algorithm == 'lsq':
            # those that NNI made of weights first
            lr = wrapper.param_groups[0]['lr'] * self.scale_lr
            steps = [space.scale for space in _spaces(quantizer)]
            wrapper.optimizer.add_param_group(dict(params=steps, lr=lr))
        network.register_state_dict_post_hook(_plain_names)
        network.register_load_state_dict_pre_hook(_own_names)
        return quantizer

    def _quantizer(self, network: nn.Module, settings: list[dict]) -> Any:
        nni = require('nni.compression.quantization', 'QuantizationAwareHook')
        with quiet(logging.getLogger('nni'), logging.ERROR):
            if self.algorithm == 'qat':
                return nni.QATQuantizer(network, settings, None, self.start)
            kind = type('LsqQuantizer', (_FirstSteps, nni.LsqQuantizer), {})
            return kind(network, settings, None)

    def _restore(self, quantizer: Any, state: dict) -> None:
        for space in _spaces(quantizer):
            own = state['targets'][space._wrapper.name][space._target_name]
            for key, value in own.items():
                held = getattr(space, key)
                if isinstance(held, nn.Parameter):
                    held.data = value.to(held.device)
                elif value is not None:
                    setattr(space, key, value.to(space._wrapper.module.weight.device))
        if self.algorithm == 'qat' and state['step']:
            quantizer.current_step = state['step']
            quantizer.register_qat_apply_method()


class _FirstSteps:
    """LSQ's own first steps, in place of NNI's constant 0.01."""

    def init_scale(self, wrapper: Any, target_name: str, target: torch.Tensor) -> None:
        """Start with 2 mean(|v|) / sqrt(top level): LSQ, section 2.1."""
        space = wrapper.quantization_target_spaces.get(target_name)
        if space is None or space.zero_point is not None or not wrapper.training:
            return
        top = space.qmax**0.5
        mean = target.detach().abs()
        mean = (
            mean.mean().view(1)
            if space._scaler is None
            else space._scaler.shrink(mean, lambda x: x.mean(-1), keepdim=True)
        )
        space.scale.data = (2 * mean / top).clamp(min=_LEAST)
        space.zero_point = torch.zeros_like(space.scale.data)


def _about(algorithm: str | None, networks: Iterable[str], processor: str | None) -> str:
    return f'{algorithm!r} of {list(networks)} for processor {processor!r}'


def _spaces(quantizer: Any) -> list:
    """Return all that is quantized: inputs, weights, outputs."""
    # sorted: NNI's order is that of a set, another one in each process
    return [
        space
        for _, spaces in sorted(quantizer._target_spaces.items())
        for _, space in sorted(spaces.items())
    ]


def _state(quantizer: Any) -> dict[str, dict]:
    """Return scales and ranges by layer and target, as tensors."""
    keys = ('scale', 'zero_point', 'tracked_min', 'tracked_max')
    state: dict[str, dict] = {}
    for space in _spaces(quantizer):
        values = {key: getattr(space, key) for key in keys}
        state.setdefault(space._wrapper.name, {})[space._target_name] = {
            key: None if value is None else value.detach().clone() for key, value in values.items()
        }
    return state


def _plain_names(module: nn.Module, state: dict, prefix: str, _: dict) -> None:
    """Give weights that NNI holds their names, and hide the rest of NNI."""
    for key in [k for k in state if k.startswith(prefix) and _OWN in k]:
        value = state.pop(key)
        if key.endswith(f'{_OWN}weight'):
            state[key.replace(_OWN, '')] = value


def _own_names(module: nn.Module, state: dict, prefix: str, *_: Any) -> None:
    """Hand plain weights to NNI, which keeps what else it has."""
    for name, layer in module.named_modules():
        own = getattr(layer, '_nni_wrapper', None)
        if own is None:
            continue
        held = own.state_dict(prefix=f'{prefix}{name}.{_OWN}')
        held[f'{prefix}{name}.{_OWN}weight'] = state[f'{prefix}{name}.weight']
        state.update(held)
