"""What the metrics count, what they compare with, and what they refuse."""
import io
import os
import pickle

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.evaluator import Evaluator
from PIL import Image

from mmgan_compress.evaluation import networks
from mmgan_compress.evaluation.distances import (frechet_distance,
                                                 kernel_distance)
from mmgan_compress.registry import METRICS


class TinyFeatures(nn.Module):
    """A random network of 8 features that counts the images it sees."""
    name = 'tiny'
    num_features = 8
    protocol = 'random network'

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer('weight',
                             torch.randn(8, 3 * 16, generator=generator))
        self.images = 0

    def forward(self, images):
        self.images += len(images)
        pooled = nn.functional.adaptive_avg_pool2d(images / 255, 4)
        return pooled.flatten(1) @ self.weight.T


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache."""
    path = tmp_path / 'home'
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(path))
    networks.shared_network.cache_clear()
    networks.shared_lpips.cache_clear()
    yield path
    networks.shared_network.cache_clear()
    networks.shared_lpips.cache_clear()


def pictures(count, seed=0, low=0, high=255, size=32):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (count, size, size, 3), dtype=np.uint8)


def write(folder, images):
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f'{index:03d}.png')


@pytest.fixture
def zebras(tmp_path):
    """Folder with 12 test and 5 training images of side B."""
    root = tmp_path / 'horse2zebra'
    write(root / 'testB', pictures(12))
    write(root / 'trainB', pictures(5, seed=1))
    return root


def reference(root, **kwargs):
    return dict(data_root=str(root), side='B', size=32, **kwargs)


def frechet(root, network=None, **kwargs):
    return METRICS.build(
        dict(type='FrechetDistance', domain='zebra',
             reference=reference(root, **kwargs),
             network=network or TinyFeatures()))


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1).float()


def samples(images, paths=None, **extra):
    paths = paths or [f'horse{i}.png' for i in range(len(images))]
    return [
        dict(fake_zebra=tensor(image), img_horse_path=path,
             img_zebra_path='zebra.png', **extra)
        for image, path in zip(images, paths)
    ]


def score(metric, data_samples, batch=5):
    evaluator = Evaluator([metric])
    for start in range(0, len(data_samples), batch):
        evaluator.process(data_samples[start:start + batch])
    return evaluator.evaluate(len(data_samples))


class TestFrechetDistance:

    def test_same_images_are_at_zero_and_others_are_not(self, home, zebras):
        same = score(frechet(zebras), samples(pictures(12)))
        dark = score(frechet(zebras), samples(pictures(12, high=128)))
        black = score(frechet(zebras), samples(pictures(12, high=16)))
        assert abs(same['zebra/FD-TINY']) < 1e-6
        assert same['zebra/FD-TINY'] < dark['zebra/FD-TINY'] < \
            black['zebra/FD-TINY']
        assert dark['zebra/KD-TINY'] < black['zebra/KD-TINY']

    def test_equals_torchmetrics_fed_with_images(self, home, zebras):
        from torchmetrics.image.fid import FrechetInceptionDistance
        network, fakes = TinyFeatures(), pictures(9, seed=3, high=100)
        direct = FrechetInceptionDistance(network)
        for images, real in ((pictures(12), True), (fakes, False)):
            direct.update(torch.stack([tensor(x) for x in images]), real=real)
        ours = score(frechet(zebras, network), samples(fakes))
        assert ours['zebra/FD-TINY'] == pytest.approx(
            direct.compute().item(), rel=1e-5)

    def test_only_inception_is_called_fid(self, home, zebras):
        network = TinyFeatures()
        network.name = 'inception'
        names = set(score(frechet(zebras, network), samples(pictures(6))))
        assert names == {'zebra/FID', 'zebra/KID', 'zebra/KID_std'}

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

    def test_protocol_says_what_was_compared(self, home, zebras):
        metric = frechet(zebras, split='train+test')
        figures = score(
            metric, samples(pictures(6), generator_mode='eval'))
        assert set(figures) - set(metric.protocol) == {'zebra/KD-TINY_std'}
        text = metric.protocol['zebra/FD-TINY']
        for part in ('6 generated', 'mode: eval', '17 real', 'train+test',
                     'horse2zebra', '32x32', 'random network'):
            assert part in text
        assert '100 subsets of 6' in metric.protocol['zebra/KD-TINY']

    def test_global_random_numbers_are_left_alone(self, home, zebras):
        torch.manual_seed(3)
        before = torch.get_rng_state()
        score(frechet(zebras), samples(pictures(6)))
        assert torch.equal(before, torch.get_rng_state())

    def test_one_image_is_refused(self, home, zebras):
        with pytest.raises(ValueError, match='at least 2'):
            score(frechet(zebras), samples(pictures(3), ['a', 'a', 'a']))

    def test_nan_is_refused(self, home, zebras):
        bad = samples(pictures(3))
        bad[1]['fake_zebra'][0, 0, 0] = float('nan')
        with pytest.raises(ValueError, match='fake_zebra.*finite'):
            score(frechet(zebras), bad)

    @pytest.mark.parametrize('lost, named', [
        ('fake_zebra', 'fake_zebra'), ('img_horse_path', 'meta_keys')])
    def test_lacking_key_is_named(self, home, zebras, lost, named):
        bad = samples(pictures(3))
        del bad[0][lost]
        with pytest.raises(KeyError, match=named):
            score(frechet(zebras), bad)


class TestReference:

    def cached(self, home):
        return sorted((home / 'stats').glob('*.pt'))

    def test_real_images_are_seen_once(self, home, zebras):
        first = score(frechet(zebras), samples(pictures(6)))
        network = TinyFeatures()
        again = score(frechet(zebras, network), samples(pictures(6)))
        assert network.images == 6
        assert again == first

    @pytest.mark.parametrize('change', ['content', 'network', 'size', 'more'])
    def test_change_makes_new_statistics(self, home, zebras, change):
        score(frechet(zebras), samples(pictures(6)))
        network, kwargs = TinyFeatures(), {}
        file = zebras / 'testB' / '003.png'
        if change == 'content':
            Image.fromarray(pictures(1, seed=9)[0]).save(file)
            os.utime(file, (1, 1))
        elif change == 'network':
            network.weight += 1
        elif change == 'size':
            kwargs = dict(size=16)
        else:
            Image.fromarray(pictures(1)[0]).save(file.with_name('x.png'))
        config = reference(zebras)
        config.update(kwargs)
        metric = METRICS.build(
            dict(type='FrechetDistance', domain='zebra', reference=config,
                 network=network))
        score(metric, samples(pictures(6)))
        assert network.images == 6 + 12 + (change == 'more')
        assert len(self.cached(home)) == 2

    @pytest.mark.parametrize('damage', [
        b'', b'not a file of torch', pickle.dumps(dict(a=1)), 'cut', 'shape'])
    def test_damaged_cache_is_computed_again(self, home, zebras, damage):
        first = score(frechet(zebras), samples(pictures(6)))
        file = self.cached(home)[0]
        if damage == 'cut':
            damage = file.read_bytes()[:200]
        elif damage == 'shape':
            stream = io.BytesIO()
            torch.save(torch.zeros(3, 8), stream)
            damage = stream.getvalue()
        file.write_bytes(damage)
        network = TinyFeatures()
        again = score(frechet(zebras, network), samples(pictures(6)))
        assert again == first
        assert network.images == 6 + 12

    @pytest.mark.parametrize('side', ['A', 'B'])
    def test_half_of_a_pair_is_taken(self, home, tmp_path, side):
        a, b = pictures(4), pictures(4, seed=1)
        write(tmp_path / 'set' / 'test', np.concatenate([a, b], axis=2))
        metric = METRICS.build(
            dict(type='FrechetDistance', domain='zebra',
                 network=TinyFeatures(),
                 reference=dict(data_root=str(tmp_path / 'set'), side=side,
                                layout='paired', size=32)))
        figures = score(metric, samples(a if side == 'A' else b))
        assert abs(figures['zebra/FD-TINY']) < 1e-6

    def test_image_is_loaded_as_the_data_set_loads_it(self, home, zebras):
        from mmgan_compress.evaluation.reference import Reference
        from mmgan_compress.registry import DATASETS
        write(zebras / 'testA', pictures(12))
        data = DATASETS.build(
            dict(type='UnpairedImages', data_root=str(zebras), split='test',
                 domains=['horse', 'zebra'], size=48))
        real = Reference(str(zebras), 'B', size=48)
        for index, path in enumerate(real.files()):
            assert torch.equal(
                real.load(path), data[index]['inputs']['img_zebra'].float())

    def test_missing_folder_is_refused_at_once(self, home, zebras):
        with pytest.raises(FileNotFoundError, match='valB'):
            frechet(zebras, split='val')

    @pytest.mark.parametrize('wrong', [
        dict(split='tests'), dict(layout='pairs'), dict(side='C')])
    def test_wrong_argument_is_refused_at_once(self, home, zebras, wrong):
        config = {**reference(zebras), **wrong}
        with pytest.raises(ValueError, match=next(iter(wrong))):
            METRICS.build(
                dict(type='FrechetDistance', domain='zebra',
                     reference=config, network=TinyFeatures()))

    def test_unreadable_image_is_named(self, home, zebras):
        (zebras / 'testB' / '005.png').write_bytes(b'no image')
        with pytest.raises(ValueError, match='005.png'):
            score(frechet(zebras), samples(pictures(3)))


class TestMissingWeights:

    @pytest.mark.parametrize('network', ['inception', 'vgg16'])
    def test_distance_is_refused_when_built(self, home, zebras, network):
        with pytest.raises(FileNotFoundError,
                           match=f'prepare_weights.py {network}'):
            frechet(zebras, network)

    def test_lpips_is_refused_when_built(self, home):
        with pytest.raises(FileNotFoundError,
                           match='prepare_weights.py vgg16'):
            METRICS.build(dict(type='PairedQuality', domain='zebra'))

    def test_unknown_network_is_named(self, home, zebras):
        with pytest.raises(ValueError, match='vgg19.*inception, vgg16'):
            frechet(zebras, 'vgg19')


def random_vgg16():
    """State dict of VGG-16's convolutions, random, torchvision's names."""
    generator = torch.Generator().manual_seed(1)
    state, channels = {}, 3
    plan = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256,
            17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512}
    for index, width in plan.items():
        weight = torch.randn(width, channels, 3, 3, generator=generator)
        state[f'features.{index}.weight'] = weight * (2 / channels / 9)**.5
        state[f'features.{index}.bias'] = torch.zeros(width)
        channels = width
    return state


@pytest.fixture
def vgg16(home):
    """A prepared VGG-16 of random weights."""
    state = random_vgg16()
    (home / 'weights').mkdir(parents=True)
    torch.save(state, home / 'weights' / 'vgg16.pth')
    return state


def pairs(fakes, reals, **extra):
    found = samples(fakes, **extra)
    for sample, real in zip(found, reals):
        sample['img_zebra'] = tensor(real)
    return found


class TestPairedQuality:

    def test_psnr_and_ssim_are_means_of_torchmetrics(self):
        from torchmetrics.functional.image import (
            peak_signal_noise_ratio, structural_similarity_index_measure)
        fakes, reals = pictures(4), pictures(4, seed=1)
        metric = METRICS.build(
            dict(type='PairedQuality', domain='zebra', lpips=False))
        got = score(metric, pairs(fakes, reals, generator_mode='eval'))
        a, b = (torch.stack([tensor(x) for x in images])
                for images in (fakes, reals))
        each = [peak_signal_noise_ratio(x, y, data_range=255.)
                for x, y in zip(a, b)]
        assert got == {
            'zebra/PSNR': pytest.approx(torch.stack(each).mean().item()),
            'zebra/SSIM': pytest.approx(structural_similarity_index_measure(
                a, b, data_range=255.).item(), abs=1e-6)}
        assert 'mean of 4 pairs' in metric.protocol['zebra/PSNR']

    def test_lpips_is_torchmetrics_on_our_convolutions(self, vgg16):
        from torchmetrics.functional.image import lpips
        from torchvision.models.vgg import cfgs, make_layers
        backbone = make_layers(cfgs['D'])
        backbone.load_state_dict(
            {k.removeprefix('features.'): v for k, v in vgg16.items()})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lpips, '_get_tv_model_features',
                          lambda *args: backbone)
            theirs = lpips._NoTrainLpips(net='vgg')
        fakes, reals = pictures(3), pictures(3, seed=1)
        metric = METRICS.build(dict(type='PairedQuality', domain='zebra'))
        got = score(metric, pairs(fakes, reals))
        a, b = (torch.stack([tensor(x) for x in images]) / 127.5 - 1
                for images in (fakes, reals))
        assert got['zebra/LPIPS'] == pytest.approx(
            theirs(a, b).mean().item(), rel=1e-4)
        assert theirs.lin0.model[1].weight.std() > 0

    def test_lpips_of_equal_images_is_zero(self, vgg16):
        metric = METRICS.build(dict(type='PairedQuality', domain='zebra'))
        same = score(metric, pairs(pictures(2), pictures(2)))
        assert same['zebra/LPIPS'] == pytest.approx(0, abs=1e-7)
        assert same['zebra/SSIM'] == pytest.approx(1, abs=1e-6)

    def test_half_a_network_is_refused(self, vgg16, home):
        del vgg16['features.28.weight']
        torch.save(vgg16, home / 'weights' / 'vgg16.pth')
        with pytest.raises(RuntimeError, match='features.28.weight'):
            METRICS.build(dict(type='PairedQuality', domain='zebra'))

    def test_building_lpips_draws_no_random_number(self, vgg16):
        before = torch.get_rng_state()
        networks.shared_lpips()
        assert torch.equal(before, torch.get_rng_state())

    def test_other_size_is_refused(self):
        metric = METRICS.build(
            dict(type='PairedQuality', domain='zebra', lpips=False))
        with pytest.raises(ValueError, match='resize both'):
            score(metric, pairs(pictures(2), pictures(2, size=16)))


class TestNetworks:

    def test_vgg16_is_the_mean_of_relu4_3(self, vgg16):
        network = networks.shared_network('vgg16')
        images = torch.stack([tensor(x) for x in pictures(2)])
        features = network(images)
        assert features.shape == (2, network.num_features)
        x, channels = images / 255, iter(sorted(
            vgg16, key=lambda key: int(key.split('.')[1])))
        for width in (2, 2, 3, 3):
            for _ in range(width):
                names = {next(channels), next(channels)}
                weight = next(n for n in names if n.endswith('weight'))
                x = nn.functional.conv2d(x, vgg16[weight], padding=1).relu()
            last, x = x, nn.functional.max_pool2d(x, 2)
        assert torch.allclose(features, last.mean(dim=(2, 3)), rtol=1e-4)

    def test_network_is_shared(self, vgg16, zebras):
        assert frechet(zebras, 'vgg16').network is \
            frechet(zebras, 'vgg16').network

    def test_kernel_distance_is_unbiased_around_zero(self):
        generator = torch.Generator().manual_seed(0)
        a, b = torch.randn(2, 400, 8, generator=generator)
        mean, deviation = kernel_distance(a, b, 50)
        assert abs(mean) < deviation
        assert kernel_distance(a, b + 1, 50)[0] > 10 * deviation

    def test_frechet_distance_of_gaussians(self):
        generator = torch.Generator().manual_seed(0)
        a, b = torch.randn(2, 20000, 4, generator=generator)
        # |mean|^2 + tr(1 + 4 - 2 * 2) = 4 * 9 + 4
        assert frechet_distance(a, 2 * b + 3) == pytest.approx(40, rel=.02)


@pytest.fixture(scope='module')
def solar_cells(tmp_path_factory):
    """Files of 600 poly and 300 mono solar cells, drawn at random."""
    from mmgan_compress.data.elpv import elpv, fetch_elpv
    from mmgan_compress.data.weights import prepare_weights
    prepare_weights('inception')
    root, kinds = tmp_path_factory.mktemp('elpv'), {'A': [], 'B': []}
    for sample in elpv(fetch_elpv(), size=300):
        for side, image in sample.images.items():
            kinds[side].append(np.array(image))
    poly, mono = (
        [kinds[side][i] for i in np.random.RandomState(0).permutation(
            len(kinds[side]))] for side in 'BA')
    write(root / 'testB', poly[:300])
    return root, poly[300:600], mono[:300]


@pytest.mark.slow
class TestRealFID:

    def test_fid_is_that_of_others(self, solar_cells):
        # An independent implementation got 17.7 and 241.6 on random draws of
        # 300 images a side; over seeds 15.0..17.6 and 234..251 were seen.
        root, poly, mono = solar_cells
        metric = METRICS.build(
            dict(type='FrechetDistance', domain='zebra',
                 reference=dict(data_root=str(root), side='B', size=300)))
        same = score(metric, samples(poly))
        other = score(metric, samples(mono))
        assert same['zebra/FID'] == pytest.approx(16.30, abs=0.1)
        assert same['zebra/FID'] == pytest.approx(17.7, abs=3)
        assert other['zebra/FID'] == pytest.approx(241.6, abs=12)
        assert same['zebra/KID'] < 0.02 < 0.1 < other['zebra/KID']

    def test_lpips_of_real_weights_grows_with_noise(self, solar_cells):
        from mmgan_compress.data.weights import prepare_weights
        prepare_weights('vgg16')
        images = np.stack(solar_cells[1][:4])
        rng, found = np.random.default_rng(0), []
        for level in (5, 20, 60):
            noisy = images + rng.normal(0, level, images.shape)
            metric = METRICS.build(
                dict(type='PairedQuality', domain='zebra'))
            noisy = noisy.clip(0, 255).astype(np.uint8)
            found.append(score(metric, pairs(noisy, images))['zebra/LPIPS'])
        assert 0 < found[0] < found[1] < found[2] < 1.5
