"""From the command line to a Runner: overrides, and what is refused."""

import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from ..core.checkpoints import file_faults, mismatch, read_checkpoint, refuse, run_file, weights_in
from ..core.commands import is_first_process
from ..core.configs import find_config, read_config, read_options, walk
from ..core.files import refuse_taken
from ..core.messages import message_of
from ..demo import apply_demo
from ..evaluation.comparison import PICTURE, VAL_PICTURE
from ..evaluation.report import FILES as REPORT
from ..models.from_student import resolve_students
from ..renamed import update_config
from .channels import fit_channels
from .check_config import LOADERS, TESTS, TRAINS, check_inputs, missing_parts, option_faults
from .console import ConsoleRunner
from .input_files import needed_weights, starting_files  # noqa: F401
from .precision import use_amp
from .processes import LOCK, locked, undoing
from .quick import by_part, make_quick, set_size
from .resume import resume_faults, start_faults, unwrap

# What Runner adds to a recipe without them: None is how it is told not to.
MMENGINE_HOOKS = 'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'


def set_everywhere(cfg, key: str, value):
    """Set ``key`` in every dict of a config that has it."""
    for node in walk(cfg):
        if key in node:
            node[key] = value


def load_config(args: Namespace, needed: Sequence[str] = (), faults: list | None = None) -> Config:
    """Read the config and apply the command line to it.

    Args:
        args (Namespace): ``config``, ``demo`` and ``data_root``;
            ``cfg_options``, ``size`` and ``quick`` where a command has them.
        needed (Sequence[str]): Parts that the config must have.
        faults (list | None): Takes the faults of ``cfg_options``, which are
            then left out.

    Raises:
        FileNotFoundError: If there is no such config, or no folder
            ``data_root``.
        ValueError: If the file is no config or lacks a part, if options
            contradict each other or the machine, or the generator is for
            images that are neither grey, RGB nor RGBA.
    """
    args.config = find_config(args.config)
    cfg = read_config(args.config)
    refuse(missing_parts(cfg, TRAINS if args.demo else needed))
    if args.demo:
        if args.data_root:
            raise ValueError(
                '--demo brings its own data: leave out --data-root, or leave out --demo'
            )
        apply_demo(cfg)
    for key in [key for key in cfg.keys() if key.startswith('demo')]:
        cfg.pop(key)  # of no use to the run
    if args.data_root:
        _set_data_root(cfg, args.data_root)
    quick, size = getattr(args, 'quick', False), getattr(args, 'size', None)
    if quick or size:
        resolve_students(cfg)  # whose size matters
        option = '--quick' if quick else '--size'
        for line in by_part(make_quick(cfg, size) if quick else set_size(cfg, size)):
            print(f'{option}: {line}')
    options = read_options(getattr(args, 'cfg_options', None) or ())
    wrong = option_faults(cfg, options)
    cfg.merge_from_dict({key: value for key, value in options.items() if key not in wrong})
    update_config(list(cfg.values()))  # options may have old names
    missing = missing_parts(cfg, needed)
    if missing or faults is None:
        refuse([*wrong.values(), *missing])
    else:
        faults += wrong.values()
    _drop_removed(cfg)
    resolve_students(cfg)
    fit_channels(cfg)
    for loader in LOADERS:  # torch refuses the two together
        if cfg.get(loader) and cfg[loader].get('num_workers', 0) == 0:
            cfg[loader].persistent_workers = False
    return cfg


def _drop_removed(cfg: Config):
    """Take out the hooks and optimizers of a base that a recipe sets to None."""
    for place, kept in (('default_hooks', MMENGINE_HOOKS), ('optim_wrapper', ())):
        parts = cfg.get(place) or {}
        for name in [name for name in parts if parts[name] is None and name not in kept]:
            del parts[name]


def _set_data_root(cfg: Config, root: str):
    """Read one's own images; without test images there is no report.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if not os.path.isdir(root):
        raise FileNotFoundError(f'--data-root {root}: there is no such folder')
    set_everywhere(cfg._cfg_dict, 'data_root', root)
    tested = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    folders = (os.path.join(root, name) for name in ('test', 'testA'))
    if 'samples' not in tested and not any(map(os.path.isdir, folders)):
        print(
            'no test images in --data-root: there will be no report; '
            'see comparison_val.png and the log',
            file=sys.stderr,
        )
        cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None


def choose_work_dir(args: Namespace) -> str:
    """Return the folder of the run; a run never writes into another's.

    Raises:
        FileExistsError: If ``--work-dir`` holds a run and is not resumed.
        FileNotFoundError: If there is nothing to resume.
    """
    folder, resume = args.work_dir, args.resume
    if resume == 'auto':
        runs = [name for name in _work_dirs(args.config, args.demo) if has_run(name)]
        folder = folder or (runs or [next_work_dir(args.config, args.demo)])[-1]
        if not has_run(folder):
            raise FileNotFoundError(f'no run to resume in {folder}')
        return folder
    if resume and not os.path.isfile(resume):
        raise FileNotFoundError(f'no checkpoint {resume!r}')
    folder = folder or (
        str(Path(resume).parent) if resume else next_work_dir(args.config, args.demo)
    )
    if not has_run(folder):
        taken = _taken(folder, args.config)
        refuse_taken(taken, [args.config], instead='name another --work-dir')
    elif not resume:
        raise FileExistsError(
            f'{folder} holds a run already: add --resume to continue it, or name another --work-dir'
        )
    return folder


def _work_dirs(config: str, demo: bool) -> list[str]:
    """Return the numbered folders of a recipe's runs, the next one last."""
    base = os.path.join('work_dirs', Path(config).stem + ('-demo' if demo else ''))
    names = [base]
    while os.path.isdir(names[-1]):
        names.append(f'{base}-{len(names) + 1}')
    return names


def next_work_dir(config: str, demo: bool) -> str:
    """Return the first numbered folder of a recipe that holds neither a run
    nor a file that one would replace.
    """
    names = _work_dirs(config, demo)
    return next(name for name in names if not (has_run(name) or _there(_taken(name, config))))


def _taken(folder: str, config: str) -> list[Path]:
    """Return what a new run would replace in a folder.

    A run that stopped before its first checkpoint may be started again: the
    lock tells that what it writes at the start is its own.
    """
    early = () if Path(folder, LOCK).is_file() else (VAL_PICTURE, Path(config).name)
    return [Path(folder, name) for name in (*REPORT, PICTURE, *early)]


def _there(files: list[Path]) -> bool:
    return any(map(os.path.lexists, files))


def has_run(folder: str) -> bool:
    """Tell whether a folder holds checkpoints or a student."""
    return any(Path(folder).glob('*.pth')) or Path(folder, 'last_checkpoint').is_file()


def resumed_checkpoint(resume: str, work_dir: str) -> str:
    """Return the checkpoint to go on from.

    Args:
        resume (str): Path, or ``'auto'`` for the newest of ``work_dir``.
        work_dir (str): Folder of the run.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged; names the one before.
    """
    path = run_file(Path(work_dir, 'last_checkpoint')) if resume == 'auto' else Path(resume)
    try:
        read_checkpoint(path)
    except (FileNotFoundError, ValueError) as error:
        others = path.parent.glob('iter_*.pth')
        older = sorted(others, key=lambda file: (len(file.name), file.name), reverse=True)
        sound = [file for file in older if file != path and not file_faults(file, '', lambda _: '')]
        raise type(error)(
            f'cannot resume: {error}. '
            + (
                f'The newest other one is there: --resume {sound[0]}'
                if sound
                else f'No other checkpoint is in {path.parent}'
            )
        ) from error
    return str(path)


def check_weights(runner: Runner):
    """Refuse files of weights that do not fit what a run was built of.

    mmengine loads what has the same name and trains on. This is before the
    optimizers are built.

    Raises:
        ValueError: Names each file, its network, and what is missing.
    """
    cfg, model, path = runner.cfg, unwrap(runner.model), runner.cfg.load_from
    faults = model.weight_faults()
    if path and os.path.isfile(path):
        faults += file_faults(
            path,
            f'{path} does not fit {cfg.filename or "the recipe"}',
            lambda content: '; '.join(
                resume_faults(content, runner) if cfg.resume else start_faults(content, model)
            ),
        )
    refuse(faults)


def check_launcher(launcher: str):
    """Refuse a launcher that did not start this process.

    Raises:
        ValueError: Names the variable that it would have set.
    """
    variable = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_LOCAL_RANK').get(
        launcher
    )
    if variable and variable not in os.environ:
        raise ValueError(
            f'--launcher {launcher}: it did not start this process, for '
            f'{variable} is not set. Start it by that launcher (torchrun, '
            'srun, mpirun), or leave --launcher out'
        )


def start_distributed(args: Namespace):
    """Start the process group on CPUs, where mmengine would ask for CUDA."""
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo')


@contextlib.contextmanager
def resumable(runner: Runner) -> Iterator[None]:
    """Say how to go on after an error of the disk, or Ctrl-C, inside.
    A run that fails before its first iteration leaves nothing behind.
    """
    folder = runner.work_dir
    try:
        yield
    except Exception as error:
        if not runner.iter and not has_run(folder):
            runner.undo()
        if not isinstance(error, OSError):
            raise
        how = (
            f'Continue with --resume --work-dir {folder}'
            if has_run(folder)
            else f'Start again; {folder} holds no checkpoint'
        )
        raise OSError(f'{message_of(error)}. The run has stopped. {how}') from error
    except KeyboardInterrupt as stop:
        last = run_file(Path(folder, 'last_checkpoint'))
        stop.args = (
            f'{last} is kept: continue with the same command and --resume --work-dir {folder}'
            if last.is_file()
            else f'{folder} holds no checkpoint yet: start again with the same command',
        )
        raise


def finish_distributed():
    """Wait for the others before leaving: rank 0 still writes the report."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def make_runner(args: Namespace, held: ExitStack) -> Runner:
    """Build the Runner that ``mmgan-compress train`` asks for.

    Args:
        args (Namespace): The command line.
        held (ExitStack): Takes the lock of the work dir; one run at a time
            writes there.
    """
    faults: list = []
    cfg = load_config(args, TRAINS, faults)
    try:
        cfg.work_dir = choose_work_dir(args)
        if args.resume is not None:
            cfg.resume = True
            cfg.load_from = resumed_checkpoint(args.resume, cfg.work_dir)
    except (OSError, ValueError) as error:
        faults.append(error)
    cfg.launcher = args.launcher
    if args.seed is not None:
        cfg.randomness.seed = args.seed
    check_inputs(cfg, needed=TRAINS, found=faults)
    if args.amp:
        use_amp(cfg)
    return _build(cfg, args, held)


def _build(
    cfg: Config,
    args: Namespace,
    held: ExitStack,
    load: Callable[[Runner], None] = lambda runner: None,
) -> Runner:
    """Lock the work dir, then build what writes into it, and load weights.
    After an error the folder is as it was.
    """
    check_launcher(args.launcher)
    folder = Path(cfg.work_dir)
    undo = undoing(folder)
    if is_first_process():
        held.enter_context(locked(folder))
    try:
        start_distributed(args)
        runner = ConsoleRunner.from_cfg(cfg)
        check_weights(runner)
        load(runner)
    except BaseException:
        if is_first_process():
            undo()
        raise
    # where it cannot begin, nothing stays
    runner.undo = undo if is_first_process() else lambda: None
    return runner


def make_tester(args: Namespace, held: ExitStack) -> Runner:
    """Build the Runner of ``mmgan-compress test`` and load what is scored.

    Args:
        args (Namespace): The command line.
        held (ExitStack): As of :func:`make_runner`.
    """
    if not os.path.isfile(args.checkpoint):
        raise FileNotFoundError(f'no checkpoint {args.checkpoint!r}')
    faults: list = []
    cfg = load_config(args, TESTS, faults)
    cfg.work_dir = args.work_dir or str(Path(args.checkpoint).parent / 'test')
    if is_first_process():  # it writes, maybe before the others look
        refuse_taken(
            _taken(cfg.work_dir, args.config), [args.checkpoint, args.config], args.overwrite
        )
    cfg.launcher = args.launcher
    checkpoint = read_checkpoint(args.checkpoint)
    is_run = 'mmgan_compress' in checkpoint
    if not is_run:  # a student: no teacher to build or to fetch weights for
        cfg.model.distiller = None
    check_inputs(cfg, ['test_dataloader'], TESTS, faults)

    def load(runner: Runner):
        model = unwrap(runner.model)
        state = weights_in(checkpoint)
        differs = mismatch(model.state_dict(), state)
        if differs:
            trained = Path(args.checkpoint).with_name(Path(args.config).name)
            hint = (
                f'. Its run wrote its own recipe, try {trained}'
                if trained.is_file() and not trained.samefile(args.config)
                else ''
            )
            raise ValueError(f'{args.checkpoint} does not fit {args.config}: {differs}{hint}')
        model.load_state_dict(state, strict=False)
        if is_run:
            model.distiller.load_training_state(checkpoint['mmgan_compress']['distiller'])

    return _build(cfg, args, held, load)
