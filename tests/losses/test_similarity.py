"""Feature similarity, wavelets, discriminator features, worked by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from golden import build
from mmgan_compress.losses.base import DistillBatch
from mmgan_compress.losses.similarity import (
    DiscriminatorFeatureLoss,
    KernelAlignmentLoss,
    SimilarityLoss,
    WaveletLoss,
    haar,
)

pytestmark = pytest.mark.numerical


def feature_batch(student, teacher):
    """Return a batch with the features ``a`` and ``b``, the same values."""
    image = torch.zeros(len(student), 3, 2, 2)
    return DistillBatch(
        image,
        image,
        {'t': image},
        {'a': student, 'b': student},
        {'t': {'a': teacher, 'b': teacher}},
    )


def image_batch(student, teacher, **kwargs):
    return DistillBatch(student, student, {'t': teacher}, **kwargs)


def over_batch(rows):
    """Return the rows as features (N, D, 1, 1) of N images."""
    return torch.tensor(rows, dtype=torch.float)[:, :, None, None]


def over_positions(rows):
    """Return the rows as the positions of one image, (1, D, 1, N)."""
    return torch.tensor(rows, dtype=torch.float).T[None, :, None]


BOTH = pytest.mark.parametrize(
    'over,features',
    [('batch', over_batch), ('positions', over_positions)],
    ids=['batch', 'positions'],
)


# --- kernel alignment -------------------------------------------------------
@BOTH
def test_kernel_alignment(over, features):
    # X = (1, 2)^T, Y = identity: Y^T X = (1, 2)^T, of squared norm 5;
    # |X^T X| = 5, |Y^T Y| = sqrt(2); KA = 5 / (5 sqrt(2))
    batch = feature_batch(features([[1], [2]]), features([[1, 0], [0, 1]]))
    loss = KernelAlignmentLoss(1.0, ['a'], over=over)
    assert loss(batch, 't').item() == pytest.approx(-1 / math.sqrt(2))
    # two layers are added
    loss = KernelAlignmentLoss(1.0, ['a', 'b'], over=over)
    assert loss(batch, 't').item() == pytest.approx(-math.sqrt(2))


@BOTH
def test_kernel_alignment_of_wide_features(over, features):
    # X X^T = diag(1, 4), Y Y^T = ((2, 1), (1, 1)): product 2 + 4 = 6,
    # norms sqrt(17) and sqrt(7); KA = 6 / sqrt(119)
    batch = feature_batch(features([[1, 0, 0], [0, 2, 0]]), features([[1, 1, 0, 0], [0, 1, 0, 0]]))
    got = KernelAlignmentLoss(1.0, ['a'], over=over)(batch, 't')
    assert got.item() == pytest.approx(-6 / math.sqrt(119))


def test_kernel_alignment_is_global():
    # the positions of two images are rows of one matrix: X = (1, 2)^T again
    batch = feature_batch(
        torch.tensor([1.0, 2]).reshape(2, 1, 1, 1), torch.eye(2).reshape(2, 2, 1, 1)
    )
    got = KernelAlignmentLoss(1.0, ['a'])(batch, 't')
    assert got.item() == pytest.approx(-1 / math.sqrt(2))


def test_kernel_alignment_ignores_rotation_and_scale():
    torch.manual_seed(0)
    teacher = torch.randn(1, 4, 5, 6)
    turn = torch.linalg.qr(torch.randn(4, 4))[0]
    student = 3 * torch.einsum('dc,bchw->bdhw', turn, teacher)
    got = KernelAlignmentLoss(1.0, ['a'])(feature_batch(student, teacher), 't')
    assert got.item() == pytest.approx(-1)


# --- similarity of rows -----------------------------------------------------
@BOTH
def test_similarity(over, features):
    # S: Q Q^T = ((1, 1), (1, 2)), rows (1, 1) / sqrt(2), (1, 2) / sqrt(5);
    # T: diag(4, 1), rows (1, 0), (0, 1);
    # squared distances 2 - 2 / sqrt(2), 2 - 4 / sqrt(5), sum / 2^2
    batch = feature_batch(features([[1, 0], [1, 1]]), features([[2, 0], [0, 1]]))
    want = (4 - math.sqrt(2) - 4 / math.sqrt(5)) / 4
    loss = SimilarityLoss(1.0, ['a'], over=over)
    assert loss(batch, 't').item() == pytest.approx(want)
    loss = SimilarityLoss(1.0, ['b', 'a'], ['a', 'b'], over=over)
    assert loss(batch, 't').item() == pytest.approx(2 * want)


@pytest.mark.parametrize(
    'student,teacher,want',
    [
        # T: Q Q^T = diag(4, 0), rows (1, 0), (0, 0): the second distance is 1
        ([[1, 0], [1, 1]], [[2, 0], [0, 0]], (3 - math.sqrt(2)) / 4),
        # S: rows (1, 0), (0, 0); T: rows (1, 0), (0, 1)
        ([[1, 0], [0, 0]], [[2, 0], [0, 1]], 1 / 4),
        ([[1, 0], [0, 0]], [[2, 0], [0, 0]], 0),
    ],
)
def test_similarity_with_a_dead_position(student, teacher, want):
    batch = feature_batch(over_positions(student), over_positions(teacher))
    batch.features['a'].requires_grad_()
    loss = SimilarityLoss(1.0, ['a'], over='positions')(batch, 't')
    assert loss.item() == pytest.approx(want)
    loss.backward()
    assert batch.features['a'].grad.isfinite().all()


@pytest.mark.parametrize('loss', [KernelAlignmentLoss, SimilarityLoss])
@pytest.mark.parametrize(
    'over,shape', [('positions', (1, 1, 1024, 1024)), ('batch', (2, 16, 256, 256))]
)
def test_no_matrix_of_a_million_rows(loss, over, shape):
    # a square matrix of these positions, or features, would take 4 TB
    feature = torch.ones(shape)
    value = loss(1.0, ['a'], over=over)(feature_batch(feature, feature), 't')
    want = -1 if loss is KernelAlignmentLoss else 0
    assert value.item() == pytest.approx(want, abs=1e-5)


def test_similarity_is_the_formula():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 5, 6), torch.randn(2, 7, 5, 6)

    def matrix(feature):
        rows = feature.flatten(2).transpose(1, 2)
        return F.normalize(rows @ rows.transpose(1, 2), dim=2)

    want = (matrix(teacher) - matrix(student)).square().mean()
    got = SimilarityLoss(1.0, ['a'], over='positions')(feature_batch(student, teacher), 't')
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('name', ['KernelAlignmentLoss', 'SimilarityLoss'])
def test_one_image_has_no_similarity_over_the_batch(name):
    loss = build(f'mmgan_compress.{name}', weight=1.0, layers=['a'], over='batch')
    feature = torch.randn(1, 3, 4, 4)
    with pytest.raises(ValueError, match="Choose over='positions'"):
        loss(feature_batch(feature, feature), 't')


def test_positions_must_agree():
    loss = SimilarityLoss(1.0, ['a'], over='positions')
    batch = feature_batch(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 2, 2))
    with pytest.raises(
        ValueError, match="'a' of the student has 16 positions, 'a' of the teacher 4"
    ):
        loss(batch, 't')


# --- wavelets ---------------------------------------------------------------
def test_haar():
    image = torch.tensor([[[[1.0, 2], [3, 5]]]])
    low, high = haar(image)
    # (1 + 2 + 3 + 5) / 2; (1 + 2 - 3 - 5) / 2, (1 - 2 + 3 - 5) / 2,
    # (1 - 2 - 3 + 5) / 2
    assert low.item() == 5.5 and high.flatten().tolist() == [-2.5, -1.5, 0.5]
    assert (low**2 + (high**2).sum()).item() == (image**2).sum().item()


def test_wavelet():
    image = torch.tensor([[[[1.0, 2], [3, 5]]]])
    # mean of 2.5, 1.5, 0.5
    got = WaveletLoss(levels=1)(image_batch(image, 0 * image), 't')
    assert got.item() == 1.5
    # blocks of 2 x 2: nothing at the first level, the low band is twice as
    # bright, so are the high bands of the second
    image = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    got = WaveletLoss(levels=2)(image_batch(image, 0 * image), 't')
    assert got.item() == 3


def test_wavelet_leaves_brightness_alone():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 16, 16)
    batch = image_batch(image, image + 0.25)
    assert WaveletLoss()(batch, 't').item() == pytest.approx(0, abs=1e-5)


def test_sizes_that_cannot_be_halved_are_refused():
    image = torch.zeros(1, 3, 24, 16)
    with pytest.raises(
        ValueError, match='height 24 and width 16 cannot be halved 4 times: .* 16 divides'
    ):
        WaveletLoss()(image_batch(image, image), 't')
    assert WaveletLoss(levels=3)(image_batch(image, image), 't') == 0


# --- discriminator features -------------------------------------------------
def discriminate(teacher, image):
    assert teacher == 't'
    return image.mean(), {'a': 2 * image, 'b': image.mean((2, 3))}


def test_discriminator_feature():
    # images of 1 and 0.5: |2 - 1| = 1 in layer a, 1 - 0.5 in layer b
    student = torch.ones(2, 3, 4, 4)
    batch = image_batch(student, student / 2, discriminate=discriminate)
    for layers, want in ((['a'], 1), (['b'], 0.5), (['a', 'b'], 1.5)):
        loss = DiscriminatorFeatureLoss(discriminator_layers=layers)
        assert loss.uses_discriminator
        assert loss(batch, 't').item() == want


# --- all of them ------------------------------------------------------------
@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='KernelAlignmentLoss', weight=1.0, layers=['a']),
        dict(type='KernelAlignmentLoss', weight=1.0, layers=['a'], over='batch'),
        dict(type='SimilarityLoss', weight=1.0, layers=['a']),
        dict(type='SimilarityLoss', weight=1.0, layers=['a'], over='positions'),
        dict(type='WaveletLoss', levels=2),
        dict(type='DiscriminatorFeatureLoss', discriminator_layers=['a']),
    ],
    ids=lambda cfg: cfg['type'] + cfg.get('over', ''),
)
def test_only_the_student_learns_and_it_does_learn(cfg):
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 2, 3, 8, 8)
    student.requires_grad_(), teacher.requires_grad_()
    batch = image_batch(student, teacher, discriminate=discriminate)
    batch.features = {'a': student * 1}
    batch.target_features = {'t': {'a': teacher * 1}}
    loss = build(**{**cfg, 'type': f'mmgan_compress.{cfg["type"]}'})
    value = loss(batch, 't')
    value.backward()
    assert value.dim() == 0 and teacher.grad is None
    assert student.grad.isfinite().all()
    # a small step against the gradient makes the loss smaller
    step = 1e-2 * student.grad / student.grad.norm()
    batch = image_batch(student.detach() - step, teacher, discriminate=discriminate)
    batch.features = {'a': batch.image}
    batch.target_features = {'t': {'a': teacher}}
    assert loss(batch, 't') < value


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match='1 layers and 2 target_layers'):
        SimilarityLoss(1.0, ['a'], ['a', 'b'])
    with pytest.raises(ValueError, match="got 'images'"):
        KernelAlignmentLoss(1.0, ['a'], over='images')
    with pytest.raises(ValueError, match='1 or more, got 0'):
        WaveletLoss(levels=0)
    with pytest.raises(ValueError, match='needs discriminator_layers'):
        DiscriminatorFeatureLoss()
