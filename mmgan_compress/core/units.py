"""Numbers with units that fit, the same in every table and message."""

_DECIMAL = (('T', 1e12), ('G', 1e9), ('M', 1e6), ('k', 1e3))


def count(value: float, digits: int = 4) -> str:
    """Return a count with its SI prefix.

    Args:
        value (float): Parameters, multiply-accumulates or the like; at
            least 0.
        digits (int): Significant digits.

    Example:
        >>> count(88_770_000), count(512)
        ('88.77 M', '512')
    """
    for prefix, scale in _DECIMAL:
        if value >= scale:
            return f'{value / scale:.{digits}g} {prefix}'
    return f'{value:.{digits}g}'


def milliseconds(value: float) -> str:
    """Return a duration that is given in milliseconds.

    Example:
        >>> milliseconds(12.345), milliseconds(123.4)
        ('12.3 ms', '123 ms')
    """
    return f'{value:.3g} ms' if value < 100 else f'{value:.0f} ms'


def duration(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds.

    Example:
        >>> duration(75), duration(7300)
        ('1:15', '2:01:40')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'
