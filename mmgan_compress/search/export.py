"""Sub-networks of a search as students."""

import shutil
from pathlib import Path

import torch
from mmengine.config import Config

from ..core.channels import image_channels
from ..core.files import atomic_folder, atomic_write
from ..core.search_space import Configuration, name_of
from ..datasets.fetch import sha256_of
from ..models.student import load_student
from ..models.supernet import SuperNet
from ..pruning.workflow import RESULT, compress_source, write_results
from .scoring import SubnetScorer, source_of


def export(
    out: Path,
    configuration: Configuration,
    scorer: SubnetScorer,
    cfg: Config,
    threads: int | None = None,
):
    """Write a sub-network as ``mmgan-compress prune`` does, and compare.

    Args:
        out (Path): Folder of the search; one that is there already stays.
        configuration (Configuration): Which.
        scorer (SubnetScorer): Of the super-net.
        cfg (Config): Its recipe.
        threads (int | None): That its time is taken with.
    """
    folder = out / 'subnets' / name_of(configuration)
    if (folder / RESULT).is_file():
        return  # of the same super-net, see run.py
    source = source_of(scorer.model, cfg, 'SuperNet')
    scorer.set_channels(configuration)  # calibrates, too
    scorer.net.set_channels(None)
    results = compress_source(
        source, 'SubNet', {source.default_domain: None}, dict(configuration=name_of(configuration))
    )
    with atomic_folder(folder) as part:
        write_results(part, source, results, 'SubNet', source.image_size, threads)
        check_slice(scorer.net, configuration, part / RESULT, source.image_size)


@torch.no_grad()
def check_slice(net: SuperNet, configuration: Configuration, path: Path, size: int):
    """Refuse a student file that does not give what the super-net gives.

    Args:
        net (SuperNet): In the state that the student was cut out in.
        configuration (Configuration): Of the sub-network.
        path (Path): Student file.
        size (int): Side of the image in pixels.

    Raises:
        RuntimeError: If their images differ by more than the order of sums.
    """
    device = next(net.parameters()).device
    image = torch.rand(1, image_channels(net), size, size, device=device) * 2 - 1
    small = load_student(path).to(device)
    try:
        net.set_channels(configuration)
        gap = float((small(image) - net.eval()(image)).abs().max())
    finally:
        net.set_channels(None)
    if gap > (0 if device.type == 'cpu' else 1e-3):
        raise RuntimeError(f'{path} differs from its slice by {gap:.3g}')


def choose(out: Path, configuration: Configuration):
    """Let a sub-network be the student of the folder.

    Args:
        out (Path): Folder of the search.
        configuration (Configuration): One that :func:`export` wrote.
    """
    target = out / RESULT
    source = out / 'subnets' / name_of(configuration) / RESULT
    if target.is_file() and sha256_of(target) != sha256_of(source):
        print(f'{target} was another sub-network before')
    with atomic_write(target) as part:
        shutil.copyfile(source, part)
