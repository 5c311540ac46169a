"""Where the time of a training step goes, by part of the step."""

import contextlib

import torch.nn as nn
from torch.profiler import ProfilerActivity, profile, record_function

_BACKWARD = 1  # scope of an event of autograd


@contextlib.contextmanager
def labelled(networks: dict[str, nn.Module]):
    """Name what the profiler sees of each network's forward passes."""
    handles, open_ranges = [], []

    def enter(name: str):
        open_ranges.append(record_function(name).__enter__())

    for name, network in networks.items():
        handles += [
            network.register_forward_pre_hook(lambda *_, name=name: enter(name)),
            network.register_forward_hook(lambda *_: open_ranges.pop().__exit__(None, None, None)),
        ]
    yield
    for handle in handles:
        handle.remove()


def parts(run, networks: dict[str, nn.Module]) -> dict[str, float]:
    """Return milliseconds of one call by part.

    Args:
        run (Callable): Takes a step.
        networks (dict[str, nn.Module]): Each a part, with its forward and
            backward passes. Ranges of ``torch.profiler`` that a step records
            itself are parts of their own, as are optimizers.

    Returns:
        dict[str, float]: The longest first; ``'rest'`` is in no part.
    """
    with labelled(networks), profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    events = [event for event in profiled.events() if event.name != '[memory]']
    names = {*networks, 'perceptual', 'StyleLoss', 'SSIMLoss', 'RelationLoss'}

    def named(event) -> str | None:
        while event is not None:
            if event.name in names:
                return event.name
            if event.name.startswith('Optimizer.'):
                return 'optimizers'
            event = event.cpu_parent
        return None

    forward = {}
    for event in events:
        if event.sequence_nr >= 0 and event.scope != _BACKWARD:
            forward.setdefault(event.sequence_nr, named(event))
    found: dict[str, float] = {}
    for event in events:
        part, above = named(event), event
        while part is None and above is not None:
            if above.scope == _BACKWARD:
                part = forward.get(above.sequence_nr)
            above = above.cpu_parent
        part = part or 'rest'
        found[part] = found.get(part, 0.0) + event.self_cpu_time_total / 1e3
    return dict(sorted(found.items(), key=lambda item: -item[1]))
