"""Train recipes one after another, each as `mmgan-compress train` does.

torchrun tests/train_recipes.py RECIPE...   each into a folder of its name
One start of the processes serves them all, and the checks of
``two_processes.py``, whose names each leaves in ``checks_RANK`` beside the first.
"""

import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def keeper_of_scored():
    """Return a hook that saves what each process scores, and an image."""
    import torch
    from mmengine.dist import get_rank
    from mmengine.hooks import Hook

    class Keeper(Hook):
        def before_val_epoch(self, runner):
            net = next(iter(runner.model.module.generators.values())).eval()
            with torch.no_grad():
                image = net(torch.linspace(-1, 1, 3072).view(1, 3, 32, 32))
            torch.save(
                dict(state=net.state_dict(), image=image),
                Path(runner.work_dir) / f'scored_{get_rank()}.pth',
            )

    return Keeper()


def main():
    """Train on several processes, by gloo where there is no GPU."""
    import torch
    from mmengine.dist import get_rank

    from mmgan_compress.engine import runner_builder as launch
    from two_processes import CHECKS

    torch.set_num_threads(1)
    launch.start_distributed(Namespace(launcher='pytorch'))
    # as in toy.train, the layout of a config's text takes half of the time
    with (
        mock.patch.object(launch, 'start_distributed'),
        mock.patch('mmengine.config.config.FormatCode', lambda text, **_: (text, True)),
    ):
        for config in sys.argv[1:]:
            runner = launch.make_runner(
                Namespace(
                    config=config,
                    work_dir=str(Path(config).with_suffix('')),
                    launcher='pytorch',
                    demo=False,
                    data_root=None,
                    resume=None,
                    amp=False,
                    seed=None,
                    cfg_options=None,
                ),
                ExitStack(),
            )
            runner.register_hook(keeper_of_scored())
            runner.train()
    for check in CHECKS:
        check()
        with open(Path(sys.argv[1]).with_name(f'checks_{get_rank()}'), 'a') as file:
            file.write(f'{check.__name__}\n')
    launch.finish_distributed()


if __name__ == '__main__':
    main()
