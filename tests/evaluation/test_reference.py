"""The real images, and the cache of their features."""

import io
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress.registry import METRICS
from scoring import TinyFeatures, frechet, pictures, reference, samples, score, write


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
            dict(
                type='mmgan_compress.FrechetDistance',
                domain='zebra',
                reference=config,
                network=network,
            )
        )
        score(metric, samples(pictures(6, size=config['size'])))
        assert network.images == 6 + 12 + (change == 'more')
        assert len(self.cached(home)) == 2

    @pytest.mark.parametrize(
        'damage', [b'', b'not a file of torch', pickle.dumps(dict(a=1)), 'cut', 'shape']
    )
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
            dict(
                type='mmgan_compress.FrechetDistance',
                domain='zebra',
                network=TinyFeatures(),
                reference=dict(
                    data_root=str(tmp_path / 'set'), side=side, layout='paired', size=32
                ),
            )
        )
        figures = score(metric, samples(a if side == 'A' else b))
        assert abs(figures['zebra/FD-TINY']) < 1e-6

    def test_image_is_loaded_as_the_data_set_loads_it(self, home, zebras):
        from mmgan_compress.evaluation.reference import Reference
        from mmgan_compress.registry import DATASETS

        write(zebras / 'testA', pictures(12))
        data = DATASETS.build(
            dict(
                type='mmgan_compress.UnpairedImages',
                data_root=str(zebras),
                split='test',
                domains=['horse', 'zebra'],
                size=48,
            )
        )
        real = Reference(str(zebras), 'B', size=48)
        for index, path in enumerate(real.files()):
            assert torch.equal(real.load(path), data[index]['inputs']['img_zebra'].float())

    def test_missing_folder_is_refused_at_once(self, home, zebras):
        with pytest.raises(FileNotFoundError, match='valB'):
            frechet(zebras, split='val')

    @pytest.mark.parametrize('wrong', [dict(split='tests'), dict(layout='pairs'), dict(side='C')])
    def test_wrong_argument_is_refused_at_once(self, home, zebras, wrong):
        config = {**reference(zebras), **wrong}
        with pytest.raises(ValueError, match=next(iter(wrong))):
            METRICS.build(
                dict(
                    type='mmgan_compress.FrechetDistance',
                    domain='zebra',
                    reference=config,
                    network=TinyFeatures(),
                )
            )

    def test_unreadable_image_is_named(self, home, zebras):
        (zebras / 'testB' / '005.png').write_bytes(b'no image')
        with pytest.raises(ValueError, match='005.png'):
            score(frechet(zebras), samples(pictures(3)))
