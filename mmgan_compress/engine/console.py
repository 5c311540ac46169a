"""A Runner that keeps the console short; its log file has everything."""

import logging
import os
import uuid

from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ..core.logging import ConsoleHandler


class ConsoleRunner(Runner):
    """Runner whose console shows what a person at work needs.

    mmengine logs environment, config and hooks to the console; here they go
    to the log file only. Recipes without ``default_hooks.progress``, which
    reports in their place, keep mmengine's console.
    """

    def __init__(self, *args, experiment_name: str | None = None, **kwargs):
        # mmengine names a run by its second: two of one second in a process
        # would share logger, message hub and visualizer
        super().__init__(*args, experiment_name=experiment_name or uuid.uuid4().hex, **kwargs)

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build mmengine's logger with a console handler of ours."""
        logger = super().build_logger(*args, **kwargs)
        if (self.cfg.get('default_hooks') or {}).get('progress'):
            for handler in logger.handlers[:]:
                if type(handler) is logging.StreamHandler:
                    logger.removeHandler(handler)
                    ours = ConsoleHandler(handler.level)
                    for each in handler.filters:
                        ours.addFilter(each)
                    logger.addHandler(ours)
        return logger

    def dump_config(self):
        """Write the config, unless its own file is in the folder: that one
        is the user's.
        """
        source = self.cfg.filename
        copy = source and os.path.join(self.work_dir, os.path.basename(source))
        if not (copy and os.path.exists(copy) and os.path.samefile(copy, source)):
            super().dump_config()
