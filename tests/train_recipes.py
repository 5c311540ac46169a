"""Train recipes one after another, each as `tools/train.py` does.

torchrun tests/train_recipes.py RECIPE...   each into a folder of its name
One start of the processes serves them all.
"""
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main():
    """Train on several processes, by gloo where there is no GPU."""
    import torch

    from mmgan_compress.engine import launch
    torch.set_num_threads(1)
    launch.start_distributed(Namespace(launcher='pytorch'))
    # as in toy.train, the layout of a config's text takes half of the time
    with mock.patch.object(launch, 'start_distributed'), \
            mock.patch('mmengine.config.config.FormatCode',
                       lambda text, **_: (text, True)):
        for config in sys.argv[1:]:
            launch.make_runner(Namespace(
                config=config, work_dir=str(Path(config).with_suffix('')),
                launcher='pytorch', demo=False, data_root=None, resume=None,
                amp=False, seed=None, cfg_options=None), ExitStack()).train()
    launch.finish_distributed()


if __name__ == '__main__':
    main()
