"""Images as they are scored and shown: 8 bits, RGB."""

from torch import Tensor


def to_rgb(image: Tensor) -> Tensor:
    """Turn an image into RGB: grey is repeated, RGBA is laid on white.

    Args:
        image (Tensor): (1, H, W), (3, H, W) or (4, H, W), whole numbers in
            0..255, float.

    Returns:
        Tensor: (3, H, W), likewise.
    """
    if len(image) == 4:
        share = image[3:] / 255
        return to_8_bit(image[:3] * share + 255 * (1 - share))
    return image.expand(3, -1, -1)


def to_8_bit(image: Tensor) -> Tensor:
    """Round an image in 0..255 as saving it would; stays float."""
    return image.float().clamp(0, 255).round()
