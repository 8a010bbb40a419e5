"""Pictures that a person recognises, of nobody: ellipses and boxes, as bytes of pixels. The same call gives the same bytes.

CT   HU + 1024, 16 bit         MR   0–1000, 16 bit
DX   0–4095, 16 bit            US   0–255, 8 bit
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from math import cos, pi, sin
from typing import NamedTuple


class Shape(NamedTuple):
    """An ellipse, or a box, around a point: all as fractions of the picture's side, from its middle."""

    x: float
    y: float
    wide: float
    high: float
    value: int
    is_box: bool = False


class Picture(NamedTuple):
    """Pixels and what must be said of them."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    pixels: bytes
    intercept: int = 0
    window: tuple[int, int] = (0, 0)  # centre, width, after the intercept


@lru_cache(maxsize=512)
def picture(modality: str, part: str, at: float, variant: int) -> Picture:
    """`at`: 0 to 1, how far through the body. `variant`: small differences between people."""
    make = {"CT": _ct, "DX": _dx, "MR": _mr, "US": _us}[modality]
    return make(part, at, variant)


def painted(side: int, background: int, shapes: Sequence[Shape], code: str) -> "array[int]":
    """Row by row, a later shape over an earlier one."""
    whole = array(code, [background]) * (side * side)
    half = side / 2
    for x, y, wide, high, value, is_box in shapes:
        colour = array(code, [value])
        for row in range(max(0, int(half + (y - high) * half)), min(side, int(half + (y + high) * half) + 1)):
            off = ((row + 0.5) / half - 1 - y) / high
            if abs(off) >= 1:
                continue
            reach = wide if is_box else wide * (1 - off * off) ** 0.5
            left, right = max(0, int(half + (x - reach) * half)), min(side, int(half + (x + reach) * half))
            if right > left:
                whole[row * side + left : row * side + right] = colour * (right - left)
    return whole


def _bytes(pixels: "array[int]") -> bytes:
    """Little endian, whatever this machine is."""
    if pixels.itemsize > 1 and array("H", [1]).tobytes()[0] != 1:
        pixels.byteswap()
    return pixels.tobytes()


def _ct(part: str, at: float, variant: int) -> Picture:
    shapes = _head(at) if part == "HEAD" else _chest(at, variant)
    window = (35, 90) if part == "HEAD" else (-300, 1500)
    return Picture(128, 128, 16, 12, _bytes(painted(128, 24, shapes, "H")), -1024, window)


def _hu(value: int) -> int:
    return value + 1024


def _chest(at: float, variant: int) -> list[Shape]:
    lung = 0.2 + 0.14 * sin(pi * (0.15 + 0.8 * at))
    shapes = [
        Shape(0, 0, 0.9, 0.66, _hu(-90)),
        Shape(0, 0, 0.84, 0.6, _hu(45)),
        Shape(-0.42, 0, lung, 0.46, _hu(-860)),
        Shape(0.42, 0, lung, 0.46, _hu(-860)),
        Shape(0.1, -0.12, 0.12 + 0.2 * at, 0.2 + 0.08 * at, _hu(50)),  # heart
        Shape(-0.06, 0.2, 0.07, 0.07, _hu(140)),  # aorta
        Shape(0, 0.42, 0.13, 0.12, _hu(420)),
        Shape(0, 0.42, 0.05, 0.04, _hu(20)),
    ]
    for number in range(7):  # ribs
        angle = pi * (0.12 + 0.76 * number / 6 + 0.05 * at)
        shapes += [Shape(side * 0.84 * sin(angle), -0.58 * cos(angle), 0.045, 0.035, _hu(600)) for side in (-1, 1)]
    for number in range(4):  # vessels
        shapes += [Shape(side * (0.3 + 0.06 * number), 0.2 * sin(number + 6 * at), 0.02, 0.02, _hu(40)) for side in (-1, 1)]  # fmt: skip
    if at > 0.45:  # right lower lobe: on the left of the picture
        shapes.append(Shape(-0.44 - 0.01 * variant, 0.2, 0.1 + 0.02 * variant, 0.09, _hu(-180)))
    return shapes


def _head(at: float) -> list[Shape]:
    size = 0.5 + 0.4 * sin(pi * (0.25 + 0.6 * at))
    shapes = [
        Shape(0, 0, size * 0.8, size, _hu(60)),
        Shape(0, 0, size * 0.76, size * 0.95, _hu(1000)),
        Shape(0, 0, size * 0.69, size * 0.88, _hu(36)),
        Shape(0, 0, 0.008, size * 0.8, _hu(60), is_box=True),
    ]
    if 0.3 < at < 0.8:
        shapes += [Shape(side * 0.11, -0.08, 0.06, 0.2, _hu(8)) for side in (-1, 1)]
        shapes += [Shape(side * 0.16, 0.22, 0.05, 0.1, _hu(8)) for side in (-1, 1)]
    return shapes


def _dx(part: str, at: float, variant: int) -> Picture:
    shapes = _radiograph_of_the_chest(variant) if part == "CHEST" else _joint(at, part)
    return Picture(256, 256, 16, 12, _bytes(painted(256, 150, shapes, "H")), 0, (2048, 4096))


def _radiograph_of_the_chest(variant: int) -> list[Shape]:
    shapes = [
        Shape(0, 0.1, 0.92, 1.2, 2300),
        Shape(0, -0.95, 0.24, 0.4, 2500),  # neck
        Shape(-0.44, 0.02, 0.33, 0.72, 900),
        Shape(0.44, 0.02, 0.33, 0.72, 900),
        Shape(0.14, 0.3, 0.34 + 0.02 * variant, 0.34, 2900),  # heart
        Shape(-0.45, 0.78, 0.42, 0.22, 2900),  # diaphragm
        Shape(0.45, 0.84, 0.42, 0.22, 2900),
        Shape(0, 0.1, 0.1, 1.1, 3100, is_box=True),  # spine
    ]
    for number in range(8):
        height = -0.55 + 0.15 * number
        shapes += [Shape(side * 0.45, height, 0.32, 0.012, 1500, is_box=True) for side in (-1, 1)]
    shapes += [Shape(side * 0.42, -0.66, 0.34, 0.03, 2700, is_box=True) for side in (-1, 1)]  # clavicles
    return shapes


def _joint(at: float, part: str) -> list[Shape]:
    """From before and from the side. A knee is two bones and its cap, an ankle stands on a foot."""
    wide = 0.3 - 0.08 * at
    shapes = [
        Shape(0, 0, wide + 0.2, 1.1, 1100, is_box=True),
        Shape(0, -0.6, wide * 0.6, 0.55, 2900, is_box=True),
        Shape(0, -0.16, wide, 0.15, 3100),
    ]
    if part == "KNEE":
        shapes += [
            Shape(0, 0.18, wide, 0.13, 3100),
            Shape(0, 0.65, wide * 0.6, 0.5, 2900, is_box=True),
            Shape(0.3 * at, -0.14, 0.1, 0.14, 3500),
        ]
    else:
        shapes += [Shape(0.16 * at, 0.14, wide, 0.12, 3100), Shape(0.3 * at, 0.42, wide + 0.25 * at, 0.16, 3000)]
    return shapes


def _mr(part: str, at: float, variant: int) -> Picture:
    """A lumbar spine from the side; in the middle its canal, and a disc that stands out."""
    middle = 1 - abs(2 * at - 1)
    shapes = [Shape(0.1, 0, 0.8, 1.1, 260), Shape(0.55, 0, 0.25, 1.1, 620, is_box=True)]
    for number in range(6):
        height = -0.8 + 0.32 * number
        lean = 0.12 * sin(pi * number / 5)
        shapes.append(Shape(-0.1 - lean, height, 0.2, 0.11, 430 + 60 * round(middle), is_box=True))
        dark = number >= 3
        out = 0.05 + 0.02 * variant if dark and middle > 0.5 else 0.0
        shapes.append(Shape(-0.1 - lean + out, height + 0.16, 0.2, 0.035, 120 if dark else 560))
    if middle > 0.3:
        shapes.append(Shape(0.2, 0, 0.06, 1.0, 880, is_box=True))
        shapes.append(Shape(0.2, -0.5, 0.02, 0.5, 330, is_box=True))
    return Picture(128, 128, 16, 12, _bytes(painted(128, 20, shapes, "H")), 0, (450, 900))


def _us(part: str, at: float, variant: int) -> Picture:
    """A fan, brighter where tissue is, and what is looked for in it."""
    side = 192
    tissue = painted(side, 70, _organ(part, at, variant), "B")
    seed = 12345 + 977 * variant + round(100 * at)
    for place in range(0, side * side, 3):  # speckle
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        tissue[place] = max(0, min(255, tissue[place] + (seed >> 16) % 31 - 15))
    fan = array("B", bytes(side * side))
    for row in range(12, side - 8):
        reach = int((row + 10) * 0.55)
        deep = side - 20 - abs(row - side // 2) // 8
        if row > deep:
            break
        left, right = max(0, side // 2 - reach), min(side, side // 2 + reach)
        fan[row * side + left : row * side + right] = tissue[row * side + left : row * side + right]
    return Picture(side, side, 8, 8, fan.tobytes(), 0, (128, 256))


def _organ(part: str, at: float, variant: int) -> list[Shape]:
    if part == "NECK":
        return [Shape(0, 0.1, 0.5, 0.35, 120), Shape(0.15, 0.1, 0.14 + 0.02 * variant, 0.1, 55), Shape(-0.5, 0.2, 0.14, 0.14, 8)]  # fmt: skip
    if part == "PELVIS":
        return [Shape(0, -0.4, 0.5, 0.2, 8), Shape(0, 0.15, 0.42, 0.3, 105), Shape(0, 0.15, 0.3, 0.06 + 0.02 * variant, 160)]  # fmt: skip
    return [
        Shape(0, 0, 0.8, 0.7, 125),
        Shape(0.2, -0.1 + 0.2 * at, 0.2, 0.14, 8),
        Shape(0.2, -0.02 + 0.2 * at, 0.05, 0.03, 240),  # a stone
        Shape(-0.4, 0.2, 0.06, 0.06, 12),
    ]
