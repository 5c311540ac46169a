"""Which kinds of images there are: grey, RGB and RGBA."""

DONT_CARE = 255  # the label of what has none
LABELS_WITH_EDGES = 2  # channels of a label map, see core/inputs.py
IMAGE_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}  # Pillow's names, by channels


def check_image_channels(*channels: int):
    """Refuse images of other kinds than grey, RGB and RGBA.

    Raises:
        ValueError: If one of the numbers is none of 1, 3 and 4.
    """
    for count in channels:
        if count not in list(IMAGE_MODES):  # whatever a file says
            raise ValueError(
                f'the generator is for images of {count} channels: expected '
                '1 (grey), 3 (RGB) or 4 (RGBA), as its in_channels and '
                'out_channels'
            )
