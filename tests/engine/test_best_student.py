"""student_best.pth: the best generator of each direction, by its own figure."""

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook

from mmgan_compress import load_student
from mmgan_compress.models.student import student_info
from mmgan_compress.registry import HOOKS, METRICS
from toy import train

# by the iteration after which they are computed; the lower the better
SCORES = {'zebra': [3.0, 1.0, 2.0, 2.0], 'horse': [2.0, 3.0, float('nan'), 1.0]}
BEST = {'zebra': 2, 'horse': 4}


@METRICS.register_module()
class Scripted(BaseMetric):
    """Gives the figures of a table."""

    def __init__(self, domain):
        super().__init__(prefix=domain)
        self.names = [f'{domain}/FID']

    def process(self, data_batch, data_samples):
        self.results.append(None)

    def compute_metrics(self, results):
        return dict(FID=SCORES[self.prefix][Clock.iteration - 1])


@HOOKS.register_module()
class Clock(Hook):
    """Tells the metrics after which iteration they are computed."""

    def before_val(self, runner):
        Clock.iteration = runner.iter


@pytest.fixture
def both(recipe):
    """GCC's CycleGAN, which is scored after each of four steps."""

    def make(*domains):
        cfg = recipe('gcc', 'cyclegan', [dict(type='Clock')])
        cfg.model.distiller.schedule.update(constant=2, block=1)
        cfg.val_evaluator.metrics = [
            dict(type='mmgan_compress.Scripted', domain=domain) for domain in domains
        ]
        cfg.default_hooks.student.update(metric='zebra/FID', lower_is_better=True)
        return cfg

    return make


def check(folder, checkpoints, best):
    for domain, iteration in best.items():
        held = torch.load(checkpoints / f'iter_{iteration}.pth', weights_only=True)['state_dict']
        net = load_student(folder / 'student_best.pth', domain)
        for key, value in net.state_dict().items():
            assert torch.equal(value, held[f'generators.{domain}.{key}'])


def test_each_direction_keeps_its_own_best(both, tmp_path):
    """As GCC/train.py does: AtoB and BtoA apart. Resumed elsewhere, too."""
    cfg = both('zebra', 'horse')
    train(cfg, tmp_path / 'a')
    check(tmp_path / 'a', tmp_path / 'a', BEST)
    train(cfg, tmp_path / 'b', tmp_path / 'a/iter_3.pth')
    check(tmp_path / 'b', tmp_path / 'a', BEST)
    # a checkpoint with one score for all, as version 0.1.0 wrote it
    old = torch.load(tmp_path / 'a/iter_3.pth', weights_only=True)
    del old['student_best']
    old['message_hub']['runtime_info']['best_student'] = 2.0
    torch.save(old, tmp_path / 'old.pth')
    train(cfg, tmp_path / 'c', tmp_path / 'old.pth')
    check(tmp_path / 'c', tmp_path / 'a', dict(horse=4))


def test_one_figure_chooses_all(both, tmp_path):
    """Where the other direction is not scored."""
    train(both('zebra'), tmp_path / 'a')
    check(tmp_path / 'a', tmp_path / 'a', dict(zebra=2, horse=2))


def test_scales_stay_with_the_generator_that_they_are_of(both, tmp_path):
    """8 bits: a later step has other ranges."""
    pytest.importorskip('nni')
    cfg = both('zebra', 'horse')
    cfg.custom_hooks.append(dict(type='mmgan_compress.QuantizationAwareHook'))
    runs = {}
    for name, start in (('whole', None), ('rest', 3)):
        train(cfg, tmp_path / name, start and tmp_path / f'whole/iter_{start}.pth')
        runs[name] = student_info(tmp_path / name / 'student_best.pth')['quantization']
    last = student_info(tmp_path / 'whole/student.pth')['quantization']
    assert runs['whole'] == runs['rest']
    assert runs['whole']['horse'] == last['horse']  # the best is the last
    assert runs['whole']['zebra'] != last['zebra']
