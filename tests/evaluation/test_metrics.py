"""What the metrics count, and what they refuse."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from golden import load_json, load_npz
from mmgan_compress.evaluation import metrics, networks
from scoring import TinyFeatures, frechet, pairs, pictures, quality, samples, score, tensor

pytestmark = pytest.mark.numerical


class TestFrechetDistance:
    def test_same_images_are_at_zero_and_others_are_not(self, home, zebras):
        same = score(frechet(zebras), samples(pictures(12)))
        dark = score(frechet(zebras), samples(pictures(12, high=128)))
        black = score(frechet(zebras), samples(pictures(12, high=16)))
        assert abs(same['zebra/FD-TINY']) < 1e-6
        assert same['zebra/FD-TINY'] < dark['zebra/FD-TINY'] < black['zebra/FD-TINY']
        assert dark['zebra/KD-TINY'] < black['zebra/KD-TINY']

    def test_equals_torchmetrics_fed_with_images(self, home, zebras):
        from torchmetrics.image.fid import FrechetInceptionDistance

        network, fakes = TinyFeatures(), pictures(9, seed=3, high=100)
        direct = FrechetInceptionDistance(network)
        for images, real in ((pictures(12), True), (fakes, False)):
            direct.update(torch.stack([tensor(x) for x in images]), real=real)
        ours = score(frechet(zebras, network), samples(fakes))
        assert ours['zebra/FD-TINY'] == pytest.approx(direct.compute().item(), rel=1e-5)

    def test_only_inception_is_called_fid(self, home, zebras):
        network = TinyFeatures()
        network.name = 'inception'
        names = set(score(frechet(zebras, network), samples(pictures(6))))
        # six images make one subset: there is no deviation to speak of
        assert names == {'zebra/FID', 'zebra/KID'}

    def test_repeats_count_once(self, home, zebras):
        images = pictures(8, seed=2)
        once = score(frechet(zebras), samples(images))
        network = TinyFeatures()
        paths = [f'horse{i % 8}.png' for i in range(12)]
        metric = frechet(zebras, network)
        many = score(metric, samples([*images, *images[:4]], paths))
        assert many == once
        assert network.images == 8  # those of the real ones are cached
        assert metric.protocol['zebra/FD-TINY'].startswith('8 generated')

    def test_results_keep_one_entry_per_sample(self, home, zebras):
        # mmengine cuts what ranks hold to the shortest list
        metric = frechet(zebras)
        metric.process(None, samples(pictures(4), ['a', 'b', 'a', 'b']))
        assert len(metric.results) == 4

    def test_metric_starts_anew_after_each_evaluation(self, home, zebras):
        metric = frechet(zebras)
        first = score(metric, samples(pictures(6, seed=4)))
        assert score(metric, samples(pictures(6, seed=5))) != first
        assert score(metric, samples(pictures(6, seed=4))) == first

    def test_samples_of_the_model_are_understood(self, home, zebras):
        from mmagic.structures import DataSample

        plain, found = samples(pictures(6)), []
        for sample in plain:
            image = sample.pop('fake_zebra')
            found.append(DataSample(metainfo=sample))
            found[-1].set_tensor_data(dict(fake_zebra=image))
            sample['fake_zebra'] = image
        assert score(frechet(zebras), found) == score(frechet(zebras), plain)

    def test_protocol_says_what_was_compared(self, home, zebras, monkeypatch):
        monkeypatch.setattr(metrics, 'KID_SUBSET_SIZE', 4)
        metric = frechet(zebras, split='train+test')
        figures = score(metric, samples(pictures(6), generator_mode='eval'))
        assert set(figures) - set(metric.protocol) == {'zebra/KD-TINY_std'}
        text = metric.protocol['zebra/FD-TINY']
        for part in (
            '6 generated',
            'mode: eval',
            '17 real',
            'train+test',
            'horse2zebra',
            '32x32',
            'random network',
        ):
            assert part in text
        assert '100 subsets of 4' in metric.protocol['zebra/KD-TINY']

    def test_global_random_numbers_are_left_alone(self, home, zebras):
        torch.manual_seed(3)
        before = torch.get_rng_state()
        score(frechet(zebras), samples(pictures(6)))
        assert torch.equal(before, torch.get_rng_state())

    def test_nan_is_refused(self, home, zebras):
        bad = samples(pictures(3))
        bad[1]['fake_zebra'][0, 0, 0] = float('nan')
        with pytest.raises(ValueError, match='fake_zebra.*finite'):
            score(frechet(zebras), bad)

    @pytest.mark.parametrize(
        'lost, named', [('fake_zebra', 'fake_zebra'), ('img_horse_path', 'meta_keys')]
    )
    def test_lacking_key_is_named(self, home, zebras, lost, named):
        bad = samples(pictures(3))
        del bad[0][lost]
        with pytest.raises(KeyError, match=named):
            score(frechet(zebras), bad)


class TestMissingWeights:
    @pytest.mark.parametrize('network', ['inception', 'vgg16'])
    def test_distance_is_refused_when_built(self, home, zebras, network):
        with pytest.raises(FileNotFoundError, match=f'mmgan-compress weights {network}'):
            frechet(zebras, network)

    def test_lpips_is_refused_when_built(self, home):
        with pytest.raises(FileNotFoundError, match='mmgan-compress weights vgg16'):
            quality()

    def test_unknown_network_is_named(self, home, zebras):
        with pytest.raises(ValueError, match='vgg19.*inception, vgg16'):
            frechet(zebras, 'vgg19')


class TestPairedQuality:
    def test_psnr_and_ssim_are_means_of_torchmetrics(self):
        from torchmetrics.functional.image import (
            peak_signal_noise_ratio,
            structural_similarity_index_measure,
        )

        fakes, reals = pictures(4), pictures(4, seed=1)
        metric = quality(lpips=False)
        got = score(metric, pairs(fakes, reals, generator_mode='eval'))
        a, b = (torch.stack([tensor(x) for x in images]) for images in (fakes, reals))
        each = [peak_signal_noise_ratio(x, y, data_range=255.0) for x, y in zip(a, b)]
        assert got == {
            'zebra/PSNR': pytest.approx(torch.stack(each).mean().item()),
            'zebra/SSIM': pytest.approx(
                structural_similarity_index_measure(a, b, data_range=255.0).item(), abs=1e-6
            ),
        }
        assert 'mean of 4 pairs' in metric.protocol['zebra/PSNR']

    def test_lpips_is_torchmetrics_on_our_convolutions(self, vgg16):
        from torchmetrics.functional.image import lpips
        from torchvision.models.vgg import cfgs, make_layers

        backbone = make_layers(cfgs['D'])
        backbone.load_state_dict({k.removeprefix('features.'): v for k, v in vgg16.items()})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lpips, '_get_tv_model_features', lambda *args: backbone)
            theirs = lpips._NoTrainLpips(net='vgg')
        fakes, reals = pictures(3), pictures(3, seed=1)
        metric = quality()
        got = score(metric, pairs(fakes, reals))
        a, b = (torch.stack([tensor(x) for x in images]) / 127.5 - 1 for images in (fakes, reals))
        assert got['zebra/LPIPS'] == pytest.approx(theirs(a, b).mean().item(), rel=1e-4)
        assert theirs.lin0.model[1].weight.std() > 0

    def test_lpips_of_equal_images_is_zero(self, vgg16):
        metric = quality()
        same = score(metric, pairs(pictures(2), pictures(2)))
        assert same['zebra/LPIPS'] == pytest.approx(0, abs=1e-7)
        assert same['zebra/SSIM'] == pytest.approx(1, abs=1e-6)

    def test_half_a_network_is_refused(self, vgg16, home):
        del vgg16['features.28.weight']
        torch.save(vgg16, home / 'weights' / 'vgg16.pth')
        with pytest.raises(RuntimeError, match='features.28.weight'):
            quality()

    def test_building_lpips_draws_no_random_number(self, vgg16):
        before = torch.get_rng_state()
        networks.shared_lpips()
        assert torch.equal(before, torch.get_rng_state())


def test_likeness_to_the_teacher():
    """A picture whose red is 8 levels higher than its teacher's."""
    images = pictures(3, high=200)
    found = samples(images)
    for sample, image in zip(found, images):
        sample['teacher_zebra'] = tensor(image)
        sample['fake_zebra'] = tensor(image)
        sample['fake_zebra'][0] += 8
    metric = metrics.TeacherSimilarity('zebra', 'wide')
    got = score(metric, found)
    assert got == {
        'zebra/PSNR to wide': pytest.approx(10 * math.log10(255**2 / (8**2 / 3)), rel=1e-5),
        'zebra/colour shift to wide': pytest.approx(8),
    }
    assert 'mean of 3 pictures' in metric.protocol['zebra/PSNR to wide']


def test_super_resolution_figures_are_those_of_gcc_and_mmagic():
    from mmagic.evaluation.metrics import psnr, ssim

    arrays, want = load_npz('srgan', 'metric/'), load_json('srgan')['metrics']
    real, fake = ((arrays[name][0] + 1) * 127.5 for name in ('hr', 'sr'))
    metric = metrics.SuperResolutionQuality('high')
    got = metric.figures(fake, real).tolist()
    assert got[0] == pytest.approx(want['psnr'], rel=1e-5)
    assert got[2] == pytest.approx(want['ssim'], rel=1e-5)
    assert float(metrics.luma(real, 4).mean()) == pytest.approx(want['y_mean'], rel=1e-5)
    pair = [image.permute(1, 2, 0).numpy() for image in (fake, real)]
    keys = dict(crop_border=4, convert_to='Y', channel_order='rgb')
    assert got[0] == pytest.approx(psnr(*pair, **keys), rel=1e-4)
    assert got[1] == pytest.approx(ssim(*pair, **keys), rel=1e-4)
    assert got[1] != pytest.approx(got[2], rel=1e-4)  # two windows, two figures


def test_bicubic_is_what_super_resolution_is_compared_with():
    small = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 10, 3), np.uint8))
    plain, real = small.resize((40, 48), Image.Resampling.BICUBIC), small.resize((40, 48), 0)
    metric = metrics.SuperResolutionQuality('high')
    low, high, fake = (torch.from_numpy(np.array(x)).permute(2, 0, 1) for x in (small, real, plain))
    sample = dict(img_low=low, img_high=high, fake_high=fake, img_low_path='a', img_high_path='a')
    metric.process(None, [sample])
    figures = metric.compute_metrics(metric.results)
    assert [f'high/{name}' for name in figures] == metric.names
    assert abs(figures['PSNR-Y over bicubic']) < 0.01  # rounding of a few values
    metric.results.clear()
    metric.process(None, [dict(sample, fake_high=high)])
    assert metric.compute_metrics(metric.results)['PSNR-Y over bicubic'] > 10


def test_label_agreement():
    """Pictures in the classes' colours agree; those of another class do not."""
    colours = torch.tensor([[0.0, 0, 0], [255, 0, 0], [0, 255, 0]])
    rng = np.random.default_rng(0)
    metric = metrics.LabelAgreement('photo', pixels=32)
    for shift, want in ((0, 100.0), (1, 0.0)):
        samples = []
        for index in range(4):
            labels = torch.from_numpy(rng.integers(0, 3, (8, 8)))
            samples.append(
                dict(
                    img_labels=torch.stack([labels, labels]).float(),
                    img_labels_path=str(index),
                    img_photo=colours[labels].permute(2, 0, 1),
                    fake_photo=colours[(labels + shift) % 3].permute(2, 0, 1),
                )
            )
        metric.results.clear()
        metric.process(None, samples)
        figures = metric.compute_metrics(metric.results)
        assert figures['mIoU-colours'] == pytest.approx(want)
        assert figures['mIoU-colours of real'] == pytest.approx(100)
        assert set(figures) == {name.partition('/')[2] for name in metric.protocol}
    assert metric.names == ['photo/mIoU-colours']


def test_style_diversity(vgg16):
    """0 where the style changes nothing, and by pixels what can be counted."""
    metric = metrics.StyleDiversity('zebra')
    one = torch.full((3, 32, 32), 100.0)
    for shift, want in ((0, 0), (10, 10)):
        found = [
            dict(fake_zebra=one, restyled_zebra=one + shift * side, img_horse_path=str(side))
            for side in (1, -1)
        ]
        figures = score(metric, found)
        assert figures['zebra/style distance'] == want
        assert (figures['zebra/style LPIPS'] > 0) == (shift > 0)
    assert sorted(figures) == sorted(metric.names) == sorted(metric.protocol)
    assert metrics.StyleDiversity('zebra', lpips=False).names == ['zebra/style distance']
    with pytest.raises(KeyError, match='restyled_zebra'):
        score(metric, [dict(fake_zebra=one, img_horse_path='a')])
