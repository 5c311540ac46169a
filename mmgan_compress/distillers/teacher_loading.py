"""What a distiller asks of its teachers before training starts."""

import re
from collections.abc import Sequence

import torch.nn as nn
from torch import Tensor

from ..core.channels import image_channels
from ..core.checkpoints import file_faults, mismatch, read_checkpoint, weights_in
from ..core.files import refuse_taken, write_tensors
from ..core.layers import find_layer
from ..core.tensor_files import load_tensors
from ..losses.base import DistillLoss
from ..models.frozen_teacher import brings_weights


def image_only(network: nn.Module) -> bool:
    """Tell whether a teacher has no layers to look into nor to train."""
    return getattr(network, 'image_only', False)


def check_teachers(distiller: nn.Module):
    """Refuse teachers that could not teach.

    Args:
        distiller (BaseDistiller): With all its teachers.

    Raises:
        ValueError: If a teacher that only gives images is to be trained or
            takes images of other channels than the student, or if one that
            is not trained comes from no checkpoint.
    """
    latest = distiller.latest_networks()
    images = [
        name
        for name, networks in latest.items()
        if any(image_only(net) for net in networks.values())
    ]
    if images and not distiller.offline:
        raise ValueError(
            f'the teacher {images[0]!r} only gives images and cannot be trained: set offline=True'
        )
    for name in images:
        for domain in distiller.model.domains:
            own = image_channels(distiller.model.generators[domain])
            taken = getattr(latest[name][domain], 'channels', own) or own
            if taken != own:
                raise ValueError(
                    f'the teacher {name!r} is for images of {taken} channels '
                    f'and the student for {own}: give them the same number'
                )
    blank = [
        net
        for networks in latest.values()
        for net in networks.values()
        if not image_only(net) and not brings_weights(net)
    ]
    if distiller.offline and not distiller.teacher_checkpoints and blank:
        raise ValueError('offline=True needs trained teachers: give teacher_checkpoints=[...]')


def check_loss(loss: DistillLoss, name: str, teacher: nn.Module, discriminator: nn.Module | None):
    """Refuse a loss that asks for what its teacher does not have.

    Raises:
        ValueError: If it asks for layers or for a discriminator in vain.
        KeyError: If the discriminator has no layer of that name.
    """
    kind = type(loss).__name__
    if loss.target_layers and image_only(teacher):
        raise ValueError(
            f'{kind} compares layers, but the teacher {name!r} is a '
            f'{type(teacher).__name__}, which only gives images: take losses '
            'of images (SSIMLoss, StyleLoss, ...), or a teacher from a '
            'checkpoint'
        )
    if loss.uses_discriminator and discriminator is None:
        raise ValueError(
            f'{kind} asks the discriminator of the teacher {name!r}, which '
            'has none: leave the loss out'
        )
    for layer in loss.discriminator_layers:
        find_layer(
            discriminator,
            layer,
            f'the discriminator of the teacher {name!r} ({kind}.discriminator_layers)',
        )


def check_loss_layers(
    loss: DistillLoss, cfg: dict, setting: str, student: nn.Module, teachers: dict[str, nn.Module]
):
    """Refuse a loss that names layers which its networks do not have.

    Args:
        loss (DistillLoss): Built of its config.
        cfg (dict): This config.
        setting (str): Where the config stands, such as ``'losses[4]'``.
        student (nn.Module): Its network.
        teachers (dict[str, nn.Module]): Networks that the loss compares.

    Raises:
        KeyError: With the network, the setting and the nearest names.
    """
    for layer in loss.layers:
        find_layer(student, layer, f'the student ({setting}.layers)')
    key = 'target_layers' if cfg.get('target_layers') else 'layers'
    for name, network in teachers.items():
        for layer in loss.target_layers:
            find_layer(network, layer, f'the teacher {name!r} ({setting}.{key})')


def load_teachers(distiller: nn.Module, paths: Sequence[str]):
    """Load teachers and discriminators from checkpoints.

    Args:
        distiller (BaseDistiller): Takes the weights.
        paths (Sequence[str]): Files of ``mmgan-compress teachers``, or
            checkpoints (as of ``core/checkpoints.run_file``): of a run with
            such teachers; of a GAN that trained alone and is the teacher now,
            ours or mmagic's; or its student file. They may hold more.
    """
    for path in paths:
        distiller.load_state_dict(_teachers_in(distiller, read_checkpoint(path)), strict=False)


def teacher_faults(
    distiller: nn.Module, paths: Sequence[str], needed: Sequence[nn.Module]
) -> list[str]:
    """Say why checkpoints do not hold the teachers of a config.

    Args:
        distiller (BaseDistiller): That is to take the weights.
        paths (Sequence[str]): Of :func:`load_teachers`.
        needed (Sequence[nn.Module]): Networks that the files must hold.
    """
    state, faults, held = distiller.state_dict(), [], {}

    def compare(content: dict) -> str:
        found = _teachers_in(distiller, content)
        held.update(found)
        # what a file has of ours must fit; all of it is looked at below
        return mismatch({k: v for k, v in state.items() if k in found} or state, found, more=True)

    for path in paths:
        faults += file_faults(path, f'{path} does not fit the teachers of this config', compare)
    own = {id(t) for net in needed for t in [*net.parameters(), *net.buffers()]}
    names = {
        name
        for name, t in [*distiller.named_parameters(), *distiller.named_buffers()]
        if id(t) in own
    }
    missing = mismatch({k: v for k, v in state.items() if k in names}, held, more=True)
    if paths and missing and not faults:
        faults.append(f'{", ".join(paths)} do not hold the teachers of this config: {missing}')
    return faults


def _teachers_in(distiller: nn.Module, content: dict) -> dict[str, Tensor]:
    """Return the tensors of a file by their names in the distiller."""
    alone = _names_alone(distiller)
    model = distiller.model
    held = _rename_domain(
        weights_in(content), alone, {*model.domains, *map(model.source_of, model.domains)}
    )
    if any(k.startswith('distiller.teacher') for k in held):
        held = weights_in(content, 'distiller')  # not its student
    state = {}
    for key, value in held.items():
        prefix = next((p for p in alone if key.startswith(p)), '')
        state[alone.get(prefix, '') + key[len(prefix) :]] = value
    return state


def _rename_domain(
    held: dict[str, Tensor], alone: dict[str, str], known: set[str]
) -> dict[str, Tensor]:
    """Give the only domain of a file the name of the config's only one.

    mmagic's Pix2Pix of edges2shoes generates ``'photo'``. A domain that the
    config knows by its name stays what it is.
    """
    own, theirs = (
        {key.split('.')[1] for key in keys if key.startswith('generators.')}
        for keys in (alone, held)
    )
    if not len(own) == len(theirs) == 1 or theirs & known:
        return held
    (name,), (other,) = own, theirs
    return {
        re.sub(rf'^((gen|discrim)\w+)\.{re.escape(other)}\.', rf'\1.{name}.', key): value
        for key, value in held.items()
    }


def _names_alone(distiller: nn.Module) -> dict[str, str]:
    """Return prefixes of a teacher's networks in the distiller, by those in
    the checkpoint of a GAN that trained alone. Several teachers have none.
    """
    latest = distiller.latest_networks()
    if len(latest) != 1:
        return {}
    own = {id(net): f'{name}.' for name, net in distiller.named_modules()}
    ((teacher, networks),) = latest.items()
    names = {}
    for domain, network in networks.items():
        names[f'generators.{domain}.'] = own[id(network)]
        discriminator = distiller.discriminator_of(teacher, domain)
        if discriminator is not None:
            for part in ('discriminators', 'distiller.student_discriminators'):
                names[f'{part}.{domain}.'] = own[id(discriminator)]
    return names


def save_teachers(
    checkpoint: str,
    out: str,
    prefixes: Sequence[str] = ('teacher', 'discrim'),
    half: bool = False,
    overwrite: bool = False,
) -> dict[str, Tensor]:
    """Write the distiller's part of a checkpoint as one small file.

    Args:
        checkpoint (str): ``iter_N.pth`` of a run.
        out (str): File to write, for ``teacher_checkpoints`` of a recipe.
        prefixes (Sequence[str]): Beginnings of the names to keep.
        half (bool): Whether to write half precision.
        overwrite (bool): Whether ``out`` may be replaced.

    Returns:
        dict[str, Tensor]: What was written, by name inside the distiller.

    Raises:
        FileExistsError: If ``out`` is there.
        ValueError: If the file is no checkpoint of a run, or holds nothing
            with such a name.
    """
    refuse_taken([out], [checkpoint], overwrite)
    try:
        state = load_tensors(checkpoint)['state_dict']
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{checkpoint} is no checkpoint of a run, or only a part of one: expected iter_N.pth'
        ) from error
    inside = {
        name.removeprefix('distiller.'): tensor
        for name, tensor in state.items()
        if name.startswith('distiller.')
    }
    kept = {
        name: tensor.half() if half and tensor.is_floating_point() else tensor.clone()
        for name, tensor in inside.items()
        if name.startswith(tuple(prefixes))
    }
    if not kept:
        held = sorted({name.partition('.')[0] for name in inside})
        raise ValueError(
            f'{checkpoint} has nothing of {" or ".join(prefixes)} in its '
            f'distiller, which has {held or "no weights"}: name another '
            'checkpoint, or other --only'
        )
    write_tensors(out, dict(state_dict=kept))
    return kept
