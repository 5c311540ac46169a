"""Relations against the numbers of CRD's own code, and what they ignore."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.losses.base import DistillBatch
from mmgan_compress.losses.relational import (
    RelationLoss,
    angle_loss,
    cut_patches,
    distance_loss,
    relation_loss,
    squared_distances,
)
from students import refused_by_tool, run_tool

pytestmark = pytest.mark.numerical

GOLDEN = load_json('crd')
ARRAYS = load_npz('crd')
TOOL = str(Path(__file__).parents[2] / 'projects/relation_cost/benchmark_relations.py')
SMALL = GOLDEN['rkd_5x7_vs_5x11']
# (key of the golden numbers, part, patch size)
PARTS = [
    ('cyclegan_row_64', 'rows', 32),
    ('cyclegan_col_64', 'columns', 32),
    ('cyclegan_patch32_64', 'patches', 32),
    ('cyclegan_patch16_64', 'patches', 16),
]


def evaluate(student, teacher, *parts, **kwargs):
    """Return the loss of two images."""
    batch = DistillBatch(student, student, {'t': teacher})
    return RelationLoss(parts=parts, **kwargs)(batch, 't')


def images(key):
    """Return the golden images of batch size 1 or 2, with a gradient."""
    return (ARRAYS[f'S{key}'].clone().requires_grad_(), ARRAYS[f'T{key}'])


# --- the golden numbers -----------------------------------------------------
def test_distances():
    distances = squared_distances(ARRAYS['feat_s'][None])[0].sqrt()
    assert_close_rel(distances[0], SMALL['pdist_s[0]'])
    assert_close_rel(distances.sum() / 20, SMALL['pdist_mean_offdiag'])


def test_losses_of_vectors_of_different_dimension():
    squares, targets = (squared_distances(ARRAYS[key][None]) for key in ('feat_s', 'feat_t'))
    assert_close_rel(distance_loss(squares, targets)[0], SMALL['loss_distance'])
    assert_close_rel(angle_loss(squares, targets)[0], SMALL['loss_angle'])


def test_distances_of_a_blank_image_are_all_the_mean():
    # like those of an equilateral triangle; the diagonal is no distance
    triangle = 4 * (1 - torch.eye(3, dtype=torch.double))[None]
    assert distance_loss(0 * triangle, triangle).item() == 0


def test_loss_and_gradient_of_vectors():
    samples = ARRAYS['feat_s'].clone().requires_grad_()
    loss = relation_loss(samples[None], ARRAYS['feat_t'][None])
    loss.backward()
    assert_close_rel(loss[0].detach(), SMALL['loss_total_w1_w2'])
    assert_close_rel(samples.grad, ARRAYS['rkd_grad_feat_s'], 1e-3)
    assert_close_rel(samples.grad.norm(), SMALL['grad_norm'], 1e-3)


@pytest.mark.parametrize('key,part,size', PARTS)
def test_cyclegan(key, part, size):
    student, teacher = images(1)
    total = evaluate(student, teacher, part, patch_size=size)
    want = GOLDEN[key]
    assert_close_rel(total.detach(), want['loss_total_w1_w2'], 1e-3)
    for name, weights in (('distance', (1.0, 0.0)), ('angle', (0.0, 1.0))):
        loss = evaluate(
            student,
            teacher,
            part,
            patch_size=size,
            distance_weight=weights[0],
            angle_weight=weights[1],
        )
        assert_close_rel(loss.detach(), want[f'loss_{name}'], 1e-3)


@pytest.mark.parametrize('key,part', [('row_grad_S1', 'rows'), ('patch32_grad_S1', 'patches')])
def test_cyclegan_gradient(key, part):
    student, teacher = images(1)
    evaluate(student, teacher, part).backward()
    assert_close_rel(student.grad, ARRAYS[key], 2e-3)


@pytest.mark.parametrize(
    'key,part,patches',
    [
        ('row_sum', 'rows', 'intended'),
        ('col_sum', 'columns', 'intended'),
        (
            'patch_intended(per image, all patches as samples, summed over batch)',
            'patches',
            'intended',
        ),
        (
            'patch_as_published(first B patches of the flat list, 3 colour planes as samples)',
            'patches',
            'published',
        ),
    ],
)
def test_pix2pix(key, part, patches):
    student, teacher = images(2)
    loss = evaluate(student, teacher, part, patches=patches, reduction='sum')
    assert_close_rel(loss.detach(), GOLDEN['pix2pix_b2'][key], 1e-3)


def test_all_patches_of_a_batch_together():
    # not offered by the loss; it pins the order in which patches are flat
    student, teacher = (cut_patches(x, 32).flatten(0, 1).flatten(1)[None] for x in images(2))
    want = GOLDEN['pix2pix_b2']['patch_all_batch_joint(8 samples)']
    assert_close_rel(relation_loss(student, teacher)[0].detach(), want, 1e-3)


def test_order_of_patches():
    image = ARRAYS['S2']
    patches = cut_patches(image, 32).flatten(0, 1)
    facts = {
        'patch[0]==img[0,:,0:32,0:32]': image[0, :, :32, :32],
        'patch[1]==img[0,:,0:32,32:64]': image[0, :, :32, 32:],
        'patch[4]==img[1,:,0:32,0:32]': image[1, :, :32, :32],
    }
    for number, (fact, want) in zip((0, 1, 4), facts.items()):
        same = torch.equal(patches[number], want)
        assert same is GOLDEN['unfold_order_check'][fact]


@pytest.mark.parametrize(
    'key,part', [('row', 'rows'), ('col', 'columns'), ('patch32(64 samples)', 'patches')]
)
def test_full_size(key, part):
    # the recipe under the golden key "input"
    noise = torch.from_numpy(
        np.random.RandomState(5).standard_normal((2, 1, 3, 256, 256)).astype(np.float32)
    )

    def smooth(z):
        return (4 * F.conv2d(z, torch.full((3, 1, 5, 5), 1 / 25), padding=2, groups=3)).tanh()

    student = smooth(noise[0])
    teacher = smooth(0.5 * student + 0.7 * noise[1])
    assert_close_rel(evaluate(student, teacher, part), GOLDEN['full_size_256'][key], 1e-3)


# --- behaviour --------------------------------------------------------------
def test_parts_are_added_and_weight_is_not_applied():
    student, teacher = images(1)
    loss = build('mmgan_compress.RelationLoss')
    value = loss(DistillBatch(student, student, {'t': teacher}), 't')
    assert loss.weight == 25 and not list(loss.parameters())
    assert_close_rel(
        value.detach(), sum(GOLDEN[key]['loss_total_w1_w2'] for key, *_ in PARTS[:3]), 1e-3
    )


@pytest.mark.parametrize('part', ['rows', 'columns', 'patches'])
def test_images_of_a_batch_do_not_mix(part):
    student, teacher = images(2)
    single = [evaluate(student[i : i + 1], teacher[i : i + 1], part) for i in range(2)]
    mean = evaluate(student, teacher, part)
    torch.testing.assert_close(mean, sum(single) / 2)
    torch.testing.assert_close(evaluate(student, teacher, part, reduction='sum'), sum(single))
    (both,) = torch.autograd.grad(mean, student)
    (alone,) = torch.autograd.grad(sum(single) / 2, student)
    torch.testing.assert_close(both, alone)


def test_chunks_of_anchors_do_not_matter(monkeypatch):
    student, teacher = images(2)
    want = evaluate(student, teacher, 'rows')
    (gradient,) = torch.autograd.grad(want, student)
    # 7 anchors at a time, which does not divide 64
    monkeypatch.setattr('mmgan_compress.losses.relational._CHUNK', 7 * 2 * 64**2)
    got = evaluate(student, teacher, 'rows')
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, student)[0], gradient)


def test_float32_under_autocast():
    student, teacher = images(1)
    want = evaluate(student, teacher, 'rows')
    (gradient,) = torch.autograd.grad(want, student)
    with torch.autocast('cpu', torch.bfloat16):
        got = evaluate(student, teacher, 'rows')
    assert got.dtype == torch.float32 and torch.equal(got, want)
    assert torch.equal(torch.autograd.grad(got, student)[0], gradient)


def test_only_the_student_gets_a_gradient():
    student, teacher = images(1)
    teacher = teacher.clone().requires_grad_()
    evaluate(student, teacher, 'rows', 'patches').backward()
    assert student.grad.abs().max() > 0 and teacher.grad is None


def test_equal_images_cost_nothing():
    student, _ = images(1)
    loss = evaluate(student, student.detach(), 'rows', 'columns', 'patches')
    loss.backward()
    assert loss == 0 and not student.grad.any()


def test_brightness_and_contrast_are_not_relations():
    student, teacher = images(1)
    want = evaluate(student, teacher, 'columns').detach()
    got = evaluate(0.3 * student + 0.2, teacher, 'columns').detach()
    assert_close_rel(got, want)


@pytest.mark.parametrize('equal', [slice(10, 20), slice(0, 64)], ids=['some rows', 'a blank image'])
def test_equal_rows_give_finite_gradients(equal):
    student, teacher = images(1)
    blank = student.detach().clone()
    blank[:, :, equal] = 0.9
    blank.requires_grad_()
    loss = evaluate(blank, teacher, 'rows', 'columns', 'patches')
    loss.backward()
    assert loss.isfinite() and loss > 0
    assert blank.grad.isfinite().all() and blank.grad.abs().max() < 1


def test_white_background_is_as_exact_as_differences():
    # rows that differ by 1e-4 of their length: a float32 Gram matrix fails
    torch.manual_seed(0)
    student, teacher = torch.rand(2, 48, 96) * 2 - 1
    student[:24] = 1 - 1e-4 * torch.rand(24, 96)
    teacher[:24] = 1 - 1e-4 * torch.rand(24, 96)
    naive = runpy.run_path(TOOL)['naive_relations']
    exact = student.double().requires_grad_()
    want = naive(exact, teacher.double())
    want.backward()
    student.requires_grad_()
    got = relation_loss(student[None], teacher[None])
    got.backward()
    assert_close_rel(got[0].detach(), want.detach(), 1e-5)
    assert_close_rel(student.grad, exact.grad, 1e-4)


# --- refusals ---------------------------------------------------------------
def test_patch_size_must_divide_the_image():
    image = torch.zeros(1, 3, 48, 72)
    with pytest.raises(
        ValueError,
        match='patch_size 32 does not divide an image of height 48 and width 72: choose 24 or 12',
    ):
        evaluate(image, image, 'patches')
    assert evaluate(image, image, 'patches', patch_size=24) == 0


def test_one_sample_is_refused():
    image = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ValueError, match='patch_size 32 makes the whole'):
        evaluate(image, image, 'patches')
    with pytest.raises(ValueError, match='two samples or more'):
        relation_loss(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))
    with pytest.raises(ValueError, match=r'got \(1, 3, 4\) and \(1, 2, 4\)'):
        relation_loss(torch.zeros(1, 3, 4), torch.zeros(1, 2, 4))


@pytest.mark.parametrize(
    'wrong,message',
    [
        (dict(parts=['row']), "got \\['row'\\]"),
        (dict(parts=[]), 'got \\[\\]'),
        (dict(reduction='none'), "'mean' or 'sum', got 'none'"),
        (dict(patches='colour'), "'intended' or 'published', got 'colour'"),
    ],
)
def test_wrong_words_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        RelationLoss(**wrong)


# --- the benchmark ----------------------------------------------------------
def test_benchmark_refuses_sizes_without_patches(monkeypatch):
    for size in (100, 32):
        assert f'--size {size}: expected a multiple of 32' in refused_by_tool(
            'benchmark_relations', '--size', size, monkeypatch=monkeypatch
        )


def test_benchmark_prints_ratios():
    forms = dict(
        naive=dict(loss=0.5, seconds=6.0, mb=1200.0), ours=dict(loss=0.5, seconds=0.1, mb=80.0)
    )
    row = runpy.run_path(TOOL)['table']({'rows': forms}).splitlines()[-1]
    assert row == ('| rows | 6.000 | 0.100 | 60.0x | 1200 | 80 | 15.0x | 0e+00 |')


@pytest.mark.slow
def test_three_times_faster_in_a_quarter_of_the_memory():
    done = run_tool('benchmark_relations', '--threads', 1, '--repeat', 2, '--json')
    assert done.returncode == 0, done.stderr[-2000:]
    for forms in json.loads(done.stdout)['results'].values():
        naive, ours = forms['naive'], forms['ours']
        assert naive['seconds'] > 3 * ours['seconds']
        assert naive['mb'] > 4 * ours['mb']
        assert_close_rel(ours['loss'], naive['loss'], 1e-3)
