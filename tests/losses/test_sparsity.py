"""L1 penalty of GCC's stage A."""

import pytest
import torch

from golden import build, load_json
from mmgan_compress.losses.sparsity import SparsityLoss

pytestmark = pytest.mark.numerical

GOLDEN = load_json('gcc')['cyclegan_l1_sparsity']
LAMBDA = 1e-3
CYCLEGAN = {'model.19': 1000, 'model.1': 2, 'model.4': 2, 'model.22': 2}


def student(norm='IN', **norm_kwargs):
    net = build(
        'mmgan_compress.SeparableResnetGenerator',
        base_channels=2,
        num_blocks=9,
        norm_cfg=dict(type=norm, **norm_kwargs),
    )
    net.init_weights()
    return net


def connected(net, *args, **kwargs):
    loss = build('mmgan_compress.SparsityLoss', weight=LAMBDA, **kwargs)
    loss.connect(net, {}, (1, 3, 64, 64))
    return loss


def gradients(net, loss):
    """Return the gradient of the weighted loss by parameter, None left out."""
    net.zero_grad()
    (loss.weight * loss(None, None)).backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def test_gradient_equals_the_originals():
    net = student()
    grads = gradients(net, connected(net, on='weight', factors=CYCLEGAN))
    for name, want in GOLDEN.items():
        sign = net.get_parameter(f'{name}.weight').sign()
        ratio = grads[f'{name}.weight'] / (LAMBDA * sign)
        assert ratio.min().item() == pytest.approx(want, rel=1e-6)
        assert ratio.max().item() == pytest.approx(want, rel=1e-6)
    convs = [
        f'{name}.weight' for name, layer in net.named_modules() if hasattr(layer, 'kernel_size')
    ]
    assert list(grads) == convs  # no bias, no norm


@pytest.mark.parametrize('norm', [dict(norm='BN'), dict(norm='IN', affine=True)], ids=str)
def test_scale_penalises_norms_alone(norm):
    net = student(**norm)
    model = net.model
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([-3.0, 0.0]))
    grads = gradients(net, connected(net, on='scale'))
    assert set(grads) == {
        f'{name}.weight'
        for name, layer in net.named_modules()
        if 'Norm' in type(layer).__name__ and layer.weight is not None
    }
    assert len(grads) == 3 + 2 * 9 + 2  # not the norms inside of separables
    assert model[2].weight.grad.tolist() == pytest.approx([-LAMBDA, 0])


def test_value_is_the_weighted_sum():
    net = student('BN')
    loss = connected(net, on='scale', factors={'model.2': 5})
    total = sum(
        layer.weight.abs().sum()
        for layer in net.modules()
        if isinstance(layer, torch.nn.BatchNorm2d)
    )
    want = total + 4 * net.model[2].weight.abs().sum()
    assert loss(None, None).item() == pytest.approx(want.item(), rel=1e-6)


def test_first_fitting_pattern_counts():
    net = student()
    grads = gradients(
        net, connected(net, on='weight', factors={'model.10.*.6.*': 3, 'model.1?.*': 7})
    )
    size = {name: grad.abs().max().item() / LAMBDA for name, grad in grads.items()}
    assert size['model.10.conv_block.6.conv.0.weight'] == pytest.approx(3)
    assert size['model.10.conv_block.1.conv.0.weight'] == pytest.approx(7)
    assert size['model.19.weight'] == pytest.approx(1)


def test_student_is_not_part_of_the_loss():
    loss = connected(student(), on='weight')
    assert not list(loss.parameters()) and not loss.state_dict()
    assert not loss.needs_teacher


def test_student_without_scales_is_refused():
    with pytest.raises(ValueError, match="nothing to penalise.*on='weight'"):
        connected(student('IN'), on='scale')


@pytest.mark.parametrize(
    'factors',
    [
        {'model.99': 2},
        {'model.2': 2},  # no convolution
        {'model.*': 2, 'model.19': 1000},
    ],
    ids=str,
)
def test_factor_without_effect_is_refused(factors):
    with pytest.raises(KeyError, match='fits no layer'):
        connected(student(), on='weight', factors=factors)


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="on must be 'scale' or 'weight'"):
        SparsityLoss(1e-3, on='gamma')
