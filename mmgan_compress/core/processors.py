"""What 8-bit weights and bfloat16 ask of a processor.

Integer convolutions multiply inputs in 0..255 by signed weights. With VNNI
instructions (AVX512-VNNI, AVX-VNNI) an x86 processor sums the products in 32
bits. Without them it first sums each two in 16 bits, and what is above 32767
becomes 32767: the same file gives another picture, 10 dB worse. Weights of 7
bits never get there. Other processors sum in 32 bits.
"""

import platform
from collections.abc import Mapping

import torch

ANY, VNNI, GPU, PHONE = 'any', 'vnni', 'gpu', 'phone'
# Largest weight for each: 2 * 255 * 64 is below 2 ** 15, 2 * 255 * 65 is not.
# A model for a GPU has all of int8's, and may run on a CPU to be compared; so
# has one for XNNPACK, which sums in 32 bits on every processor.
TOPS = {ANY: 64, VNNI: 127, GPU: 127, PHONE: 127}
WEIGHT_BITS = {ANY: 7, VNNI: 8, GPU: 8, PHONE: 8}
X86 = ('x86_64', 'AMD64')


def has_vnni() -> bool:
    """Tell whether 8-bit products are summed in 32 bits here.

    False, too, on x86 where torch is too old to know.
    """
    known: dict[str, bool] = getattr(torch.cpu, 'get_capabilities', dict)()
    return platform.machine() not in X86 or any(
        known.get(name) for name in ('avx512_vnni', 'avx_vnni')
    )


def has_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16; others would imitate
    it, slower than they compute float32.
    """
    known: dict[str, bool] = getattr(torch.cpu, 'get_capabilities', dict)()
    return any(known.get(name) for name in ('avx512_bf16', 'amx_bf16', 'bf16'))


def check_processor(processor: str, model: object) -> None:
    """Refuse 8-bit weights that saturate on this processor.

    Args:
        processor (str): Of :data:`TOPS`, what a model was made for.
        model (object): Its path, or what is to be made, for the message.

    Raises:
        ValueError: If there is no such word, or VNNI is needed and missing.
    """
    if processor not in TOPS:
        raise ValueError(f'{model}: processor is {processor!r}: expected one of {list(TOPS)}')
    if processor == VNNI and not has_vnni():
        raise ValueError(
            f'{model} has 8-bit weights for processors with VNNI, and this '
            'one has none: its sums would saturate and give another picture. '
            f'Make it of the student again with --processor {ANY}, or run it '
            'on a processor with avx512_vnni or avx_vnni'
        )


def for_processor(scales: Mapping[str, dict], processor: str) -> dict[str, dict]:
    """Widen the steps of weights until their integers suit a processor.

    Args:
        scales (Mapping[str, dict]): By layer, as in
            ``models/quantization.py``.
        processor (str): Of :data:`TOPS`.

    Returns:
        dict[str, dict]: The same range of each weight, in fewer steps where
        there were more than the processor takes.
    """
    most, found = TOPS[processor], {}
    for name, entry in scales.items():
        top = entry.get('weight_top', TOPS[VNNI])
        if top > most:
            entry = dict(
                entry, weight_top=most, weight=[step * top / most for step in entry['weight']]
            )
        found[name] = entry
    return found
