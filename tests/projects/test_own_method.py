"""The example of a method outside the package trains by its recipe."""

import torch

from toy import REPO, build_model, toy_config, train, without_report

FOLDER = REPO / 'projects/own_method'


def test_student_learns_and_its_teacher_stays(tmp_path, vgg_file, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    assert sum(len(path.read_text().splitlines()) for path in FOLDER.glob('*.py')) <= 40
    plain = build_model(toy_config('cyclegan', tmp_path / 'data', vgg_file))
    teacher = {
        f'teacher.{key}': value for key, value in plain.distiller.teacher.state_dict().items()
    }
    torch.save(dict(state_dict=teacher), tmp_path / 'teacher.pth')
    cfg = toy_config(
        'cyclegan', tmp_path / 'data', vgg_file, method='own', recipe=FOLDER / 'mirror_cyclegan.py'
    )
    cfg.model.distiller.update(
        teacher_checkpoints=[str(tmp_path / 'teacher.pth')],
        schedule=dict(epochs=2, constant=1, block=1, iters_per_epoch=1),
    )
    runner = train(without_report(cfg), tmp_path / 'run')
    first, last = (
        torch.load(tmp_path / f'run/iter_{n}.pth', weights_only=True)['state_dict'] for n in (1, 2)
    )
    assert runner.model.distiller.method == 'MirrorDistiller'
    assert any(
        not torch.equal(value, last[key])
        for key, value in first.items()
        if key.startswith('generators')
    )
    for key, value in teacher.items():
        assert torch.equal(last[f'distiller.{key}'], value)
    logged = runner.message_hub.log_scalars
    assert 'train/loss_ssim_zebra_teacher_mirrored' in logged
