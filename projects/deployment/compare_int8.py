r"""What do 8 bits lose and save in ONNX Runtime and OpenVINO?

    python projects/deployment/compare_int8.py models/flat2emoji/student.pth

Prints what single precision and 8 bits cost with one thread, taken in turns,
and the PSNR to torch in double precision on 8 of the demo's test images.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmgan_compress import load_student  # noqa: E402
from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.deploy.formats import FORMATS, open_model  # noqa: E402
from mmgan_compress.deploy.onnx import write_onnx  # noqa: E402
from mmgan_compress.deploy.quantize_onnx import quantize  # noqa: E402
from mmgan_compress.deploy.verify import DEMO, Exact, difference, real_inputs  # noqa: E402

REWRITES = (*FORMATS['openvino'].rewrites, 'mixed')  # of our file for OpenVINO
TRAINING, ROUNDS = DEMO.with_name('trainA'), 20


def main() -> None:
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
    sys.exit(guard(main))
