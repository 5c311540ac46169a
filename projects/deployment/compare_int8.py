r"""What do 8 bits lose and save, and does NNCF do better for OpenVINO?

    python projects/int8/compare_int8.py models/flat2emoji/student.pth

Prints what single precision and 8 bits cost with one thread, taken in turns,
and the PSNR to torch in double precision on 8 of the demo's test images. Where
nncf==3.4.0 is installed, in an environment of its own, it quantizes the module
on the same images: all of it, and without the first and the last convolution.
"""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import openvino
import torch

try:
    import nncf
except ImportError:
    nncf = None

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmgan_compress import load_student  # noqa: E402
from mmgan_compress.deploy.formats import open_model  # noqa: E402
from mmgan_compress.deploy.graph import prepare  # noqa: E402
from mmgan_compress.deploy.onnx import write_onnx  # noqa: E402
from mmgan_compress.deploy.quantize_onnx import quantize  # noqa: E402
from mmgan_compress.deploy.verify import DEMO, Exact, difference, real_inputs  # noqa: E402

REWRITES = ('phases', 'staged')  # of our file for OpenVINO
TRAINING, ROUNDS, LAYERS = DEMO.with_name('trainA'), 20, ('conv2d', 'conv_transpose2d')


def write_nncf(net, size, images, path, ends):
    """Quantize the module with NNCF and convert it."""
    nncf.set_log_level(logging.ERROR)
    images, module = [torch.from_numpy(x) for x in images], prepare(net, size, REWRITES)
    names = [name for name, layer in module.named_modules() if hasattr(layer, 'kernel_size')]
    names = [f'{name}/{kind}/0' for name in (names[0], names[-1]) for kind in LAYERS]
    ignored = nncf.IgnoredScope(names=names, validate=False) if ends else None
    module = nncf.quantize(module, nncf.Dataset(images), ignored_scope=ignored)
    model = openvino.convert_model(module, example_input=images[0], input=list(images[0].shape))
    openvino.save_model(model, path, compress_to_fp16=False)


def main():
    """Write, compare and time the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('student')
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--processor', default='any', help='any: 7-bit weights; vnni: 8')
    args = parser.parse_args()
    net = load_student(args.student)
    images = [x for _, x in real_inputs(args.size, TRAINING, 16)]
    tests = real_inputs(args.size, DEMO, 8)
    with tempfile.TemporaryDirectory() as folder:
        float32, own = Path(folder, 'fp32.onnx'), Path(folder, 'int8.onnx')
        write_onnx(net, float32, args.size, {}, rewrites=REWRITES)
        quantize(float32, own, images, dict(processor=args.processor))
        runs = {
            f'{name} in {runtime}': open_model(file, runtime, 1).run
            for runtime in ('onnxruntime', 'openvino')
            for name, file in (('fp32', float32), ('int8', own))
        }
        if nncf:
            for name, ends in (('NNCF', False), ('NNCF without ends', True)):
                file = Path(folder, f'{ends}.xml')
                write_nncf(net, args.size, images, file, ends)
                runs[f'{name} in openvino'] = open_model(file, 'openvino', 1).run
        least, exact = dict.fromkeys(runs, np.inf), Exact(net)
        for at in range(ROUNDS):
            for name, run in runs.items():
                begin = time.process_time()
                run(tests[at % len(tests)][1])
                least[name] = min(least[name], 1e3 * (time.process_time() - begin))
        for name, run in runs.items():
            psnr = [difference(exact(x), run(x))[1] for _, x in tests]
            print(
                f'{name}: {least[name]:.2f} ms, PSNR {np.mean(psnr):.1f} dB in the mean, '
                f'{min(psnr):.1f} dB at worst'
            )


if __name__ == '__main__':
    main()
