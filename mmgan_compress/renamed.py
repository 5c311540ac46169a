"""Names of before, so that old configs, checkpoints and students load.

The tables below are all that was renamed. A config is brought up to date
when it is read (``core/configs.py``), a checkpoint too
(``core/checkpoints.py``, ``engine/resume.py``), and a registry knows its
types by both names (``registry.py``), which student files need.
"""

import copy
import re
from typing import Any

_LOSSES = (
    'Adversarial',
    'Channel',
    'Cooperative',
    'DiscriminatorFeature',
    'FeatureMap',
    'KernelAlignment',
    'Perceptual',
    'Relation',
    'SSIM',
    'Similarity',
    'SlimmingPerceptual',
    'SlimmingPixel',
    'Sparsity',
    'Style',
    'TotalVariation',
    'Wavelet',
)
TYPES = {
    'DistilledTranslator': 'DistillationModel',
    'TermWeightHook': 'LossWeightHook',
    **{f'{name}Term': f'{name}Loss' for name in _LOSSES},
}
# arguments of a distiller; names of its modules and entries of its state too
_PARTS = {'terms': 'losses', 'stand_ins': 'teacher_snapshots'}
_ARGUMENTS = {
    'LossWeightHook': {'term': 'loss'},
    'PerceptualLoss': {'tap': 'feature'},
    'CooperativeLoss': {'detach_judged': 'detach_discriminator'},
}
# Where the losses stand of methods that had them in Python: file in
# configs/_base_/losses and name of the list.
_PUBLISHED = {
    'OMGDPix2Pix': ('omgd', 'omgd_losses'),
    'OMGDCycleGAN': ('omgd', 'omgd_losses'),
    'CRDPix2Pix': ('crd_pix2pix', 'crd_losses'),
    'CRDCycleGAN': ('crd_cyclegan', 'crd_losses'),
}
_MODULE = re.compile(rf'^(distiller\.)({"|".join(_PARTS)})(?=\.|$)')


def current_type(name: str) -> str:
    """Return the name of today of a registered type, scope included."""
    scope, dot, kind = name.rpartition('.')
    return scope + dot + TYPES.get(kind, kind)


def update_config(node: Any) -> None:
    """Bring a config up to date, in place.

    Args:
        node (dict | list): Config of a run, or a part of it.
    """
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        if isinstance(value, (dict, list)):
            update_config(value)
        elif isinstance(value, str):
            node[key] = current_type(value) if key == 'type' else _current_module(value)
    if not isinstance(node, dict):
        return
    if isinstance(node.get('distiller'), dict):
        _rename(node['distiller'], _PARTS)
        _list_losses(node['distiller'])
    kind = str(node.get('type')).rpartition('.')[2]
    _rename(node, _ARGUMENTS.get(kind, {}))


def update_checkpoint(content: Any) -> None:
    """Bring the content of a checkpoint up to date, in place.

    Args:
        content (dict): As torch reads it; other files stay as they are.
    """
    if not isinstance(content, dict):
        return
    for state in (content.get('state_dict'), content):
        if isinstance(state, dict):
            _rename(state, {key: new for key in state if (new := _current_module(key)) != key})
    own = content.get('mmgan_compress')
    if isinstance(own, dict) and isinstance(own.get('distiller'), dict):
        _rename(own['distiller'], _PARTS)


def _current_module(name: Any) -> Any:
    """Return the dotted name of a module or parameter of today."""
    return (
        name
        if not isinstance(name, str)
        else _MODULE.sub(lambda found: found[1] + _PARTS[found[2]], name)
    )


def _rename(node: dict, names: dict[str, str]) -> None:
    """Rename keys; the order of a state dict stays."""
    if names.keys() & node.keys():
        new = {names.get(key, key): node[key] for key in list(node)}
        node.clear()
        node.update(new)


def _list_losses(distiller: dict) -> None:
    """Write out what arguments of a method said of its losses.

    Without a list of losses the method had the published one, with
    ``channel`` (of ``ChannelLoss``) or ``adversarial_weight`` in it and
    ``relation`` (of ``RelationLoss``). Beside a list, they change those of
    its losses that are meant.
    """
    kind = str(distiller.get('type')).rpartition('.')[2]
    if kind not in _PUBLISHED or not isinstance(distiller.get('losses') or [], (list, tuple)):
        return  # what is no list is refused later
    edits = {}
    if 'channel' in distiller:
        edits['ChannelLoss'] = distiller.pop('channel')
    if 'relation' in distiller:
        edits['RelationLoss'] = distiller.pop('relation') or {}
    if 'adversarial_weight' in distiller:
        weight = distiller.pop('adversarial_weight')
        edits['AdversarialLoss'] = (
            dict(weight=weight, gan_type=distiller.get('gan_type', 'hinge')) if weight else None
        )
    published = not distiller.get('losses')
    losses = _published(kind) if published else list(distiller['losses'])
    for name, arguments in edits.items():
        found = [loss for loss in losses if loss['type'].rpartition('.')[2] == name]
        for loss in found:
            if arguments is None:
                losses.remove(loss)
            else:
                loss.update(arguments)
        if published and not found and arguments is not None:
            losses.append(dict(type=f'mmgan_compress.{name}', **arguments))
    distiller['losses'] = losses


def _published(kind: str) -> list[dict]:
    """Return the losses of a method from its base config."""
    from mmengine.config import Config

    from .core.configs import CONFIGS

    file, name = _PUBLISHED[kind]
    base = Config.fromfile(CONFIGS / f'_base_/losses/{file}_losses.py')
    return copy.deepcopy(base.to_dict()[name])
