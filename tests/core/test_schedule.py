"""The schedule as a function of the iteration."""

import pytest

from golden import load_json
from mmgan_compress.core.schedule import TrainSchedule


def test_learning_rate_of_omgd():
    """Fixture lr_linear_100_100: base rate 2e-4 at 1-based epochs."""
    schedule = TrainSchedule(epochs=200, constant=100, block=10, iters_per_epoch=7)
    for key, want in load_json('omgd')['lr_linear_100_100'].items():
        epoch = int(key.removeprefix('epoch'))
        for iteration in ((epoch - 1) * 7, epoch * 7 - 1):
            got = 2e-4 * schedule.lr_factor(iteration)
            assert got == pytest.approx(want, rel=1e-9)


def test_blocks_of_the_unpaired_schedule():
    """save_epoch_freq 12: 16 full blocks and one at epoch 200, 816 epochs."""
    schedule = TrainSchedule(epochs=200, constant=100, block=12, student_epochs=48)
    phases = [schedule.phase(i) for i in range(schedule.total_iters)]
    assert schedule.blocks == 17
    assert phases.count('teacher') == 200
    assert phases.count('student') == 816
    assert phases[:12] == ['teacher'] * 12 and phases[12] == 'student'
    for i in range(schedule.total_iters):
        left = phases[i + 1 :]
        assert schedule.remaining(i) == dict(
            teacher=left.count('teacher'), student=left.count('student')
        )
    ends = [i for i in range(schedule.total_iters) if schedule.ends_block(i)]
    assert len(ends) == 17 and ends[-1] == schedule.total_iters - 1
    turns = [i for i in range(schedule.total_iters) if schedule.ends_teacher_phase(i)]
    assert turns[0] == 11 and turns[-1] == schedule.total_iters - 48 - 1


def test_rate_rests_while_the_student_trains():
    schedule = TrainSchedule(epochs=4, constant=2, block=2, student_epochs=3, iters_per_epoch=2)
    factors = [schedule.lr_factor(i) for i in range(schedule.total_iters)]
    assert factors[:10] == [1.0] * 10
    assert factors[10:] == pytest.approx([2 / 3] * 2 + [1 / 3] * 8)


def test_joint_schedule():
    schedule = TrainSchedule(epochs=6, constant=3, block=4)
    assert {schedule.phase(i) for i in range(6)} == {'joint'}
    assert [i for i in range(6) if schedule.ends_block(i)] == [3, 5]


@pytest.mark.parametrize('wrong', [dict(constant=5), dict(block=0), dict(iters_per_epoch=0)])
def test_impossible_schedules_are_refused(wrong):
    with pytest.raises(ValueError):
        TrainSchedule(**{**dict(epochs=4, constant=2, block=2), **wrong})
