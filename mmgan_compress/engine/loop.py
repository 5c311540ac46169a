"""The train loop: follows the schedule and resumes exactly."""

import copy
from collections.abc import Iterator

from mmengine.dist import get_world_size
from mmengine.runner import BaseLoop, IterBasedTrainLoop

from ..core.training import accumulated
from ..registry import LOOPS
from .resume import preserved_rng, unwrap


@LOOPS.register_module()
class DistillTrainLoop(IterBasedTrainLoop):
    """Iteration-based loop that follows the distiller's schedule.

    It differs from mmengine's loop in four ways. (1) Its length and the
    moments of validation (the end of each block) come from the schedule. (2)
    A resumed run starts the sampler at its position instead of loading and
    discarding images. (3) Validation leaves the random generators of the
    training as they are. (4) It provides the distiller's further streams:
    passes over the same data, each in an order of its own.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Training data; its sampler must be a
            ``PositionSampler``.
    """

    def __init__(self, runner, dataloader):
        BaseLoop.__init__(self, runner, dataloader)  # starts no iterator yet
        self._max_epochs, self._epoch, self._iter = 1, 0, 0
        self.val_begin = 1
        self.stop_training = False
        self.distiller = unwrap(runner.model).distiller
        self.dataloader.dataset.epoch_domain = self.distiller.epoch_domain
        self.distiller.set_epoch_length(len(self.dataloader))
        self.schedule = self.distiller.schedule
        self._max_iters = self.schedule.total_iters
        seed = runner.seed or 0
        self.streams = {
            name: runner.build_dataloader(copy.deepcopy(runner.cfg.train_dataloader), seed + index)
            for index, name in enumerate(self.distiller.streams, 1)
        }
        runner.visualizer.dataset_meta = self.dataloader.dataset.metainfo

    @property
    def val_interval(self) -> int:
        """Iterations of one block, for the log."""
        schedule = self.schedule
        return (schedule.block + schedule.student_epochs) * schedule.iters_per_epoch

    def run(self):
        """Launch training."""
        self.distiller.iteration = self._iter
        self._divide_batch()
        batches = self._continued(self.dataloader)
        streams = {name: self._continued(loader) for name, loader in self.streams.items()}
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter > 0:  # the checkpoint is written before its validation
            self._validate()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            further = {name: next(stream) for name, stream in streams.items()}
            self.run_iter(dict(next(batches), streams=further))
            self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _divide_batch(self):
        """Tell the distiller in how many parts a batch comes, and the user
        which losses grow with it.
        """
        steps = accumulated(self.runner.optim_wrapper['student'])
        parts = self.distiller.batch_parts = get_world_size() * steps
        sums = {
            type(loss).__name__
            for losses in self.distiller.losses.values()
            for loss in losses
            if loss.sums_images and loss.weight
        }
        if parts > 1 and sums:
            batch = self.dataloader.batch_size
            self.runner.logger.warning(
                '%s: a sum over the %d images of a step (batch %d, %d processes, '
                'accumulative_counts %d), to which the weight should be tuned',
                ', '.join(sorted(sums)),
                parts * batch,
                batch,
                get_world_size(),
                steps,
            )

    def _continued(self, loader) -> Iterator[dict]:
        """Return a loader's batches from where the run is now."""
        sampler = loader.sampler
        sampler.start = self._iter * loader.batch_size * sampler.world_size
        return iter(loader)

    def _validate(self):
        if self.runner.val_loop is not None and self.schedule.ends_block(self._iter - 1):
            with preserved_rng():
                self.runner.val_loop.run()
