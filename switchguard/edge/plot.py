"""The distribution of sessions over clients as a picture: everybody from the fewest sessions to the most.

On a healthy network the curve is flat, with a short rise at its right end; a swarm is a wall there. SVG is text, and
names the busiest clients; PNG is made with zlib and a font of ten digits, and has numbers on its axes but no words.
"""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from switchguard.errors import CaptureError

WIDTH, HEIGHT = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 90, 20, 40, 60
NAMED = 3
"""Clients that are named in the picture."""
_INK, _AXIS, _GRID = "#c0392b", "#333333", "#dddddd"
_DIGITS: Mapping[str, tuple[int, ...]] = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 1, 1, 1),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
}
"""Five rows of three dots each, the left one is 4."""
_DOT = 3

Clients = Sequence[tuple[str, int]]
"""Name and sessions, the fewest first."""


def plot(file: Path, clients: Clients, title: str) -> None:
    """Write the picture in the format that the name asks for. CaptureError for another one than .svg and .png."""
    draw = FORMATS.get(file.suffix.lower())
    if draw is None:
        raise CaptureError(f"{file}: a picture is .svg or .png, not {file.suffix or 'without an ending'}")
    try:
        file.write_bytes(draw(clients, title))
    except OSError as error:
        raise CaptureError(f"{file}: {error.strerror or error}") from error


def check_plot(file: Path) -> None:
    """The same error before the work is done."""
    if file.suffix.lower() not in FORMATS:
        raise CaptureError(f"{file}: a picture is .svg or .png, not {file.suffix or 'without an ending'}")


def nice_ceiling(number: int) -> int:
    """1, 2 or 5 times a power of ten, not below the number: where an axis may end."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= number:
                return step * power
        power *= 10


def buckets(counts: Sequence[int], columns: int) -> list[int]:
    """As many columns, or fewer; each has the most of its neighbours, so that a single swarm is not averaged away."""
    width = min(columns, len(counts))
    edges = [n * len(counts) // width for n in range(width + 1)] if width else [0]
    return [max(counts[a:b]) for a, b in pairwise(edges)]


def _bars(clients: Clients) -> tuple[list[tuple[int, int, int]], int]:
    """Left edge, right edge and height of each bar in pixels; and the number at the end of the axis."""
    heights = buckets([count for _, count in clients], WIDTH - LEFT - RIGHT)
    top = nice_ceiling(max(heights, default=1))
    span, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    edges = [LEFT + n * span // max(len(heights), 1) for n in range(len(heights) + 1)]
    bars = [(*sides, round(height * tall / top)) for sides, height in zip(pairwise(edges), heights, strict=True)]
    return bars, top


def _lines(top: int) -> list[tuple[int, int]]:
    """Number and row of each horizontal line."""
    parts = next(number for number in (4, 5, 2, 1) if top % number == 0)
    tall = HEIGHT - TOP - BOTTOM
    return [(top * n // parts, HEIGHT - BOTTOM - tall * n // parts) for n in range(parts + 1)]


# --- SVG -------------------------------------------------------------------------------------------------------------


def svg(clients: Clients, title: str) -> bytes:
    bars, top = _bars(clients)
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    steps = " ".join(f"L{x} {floor - high} H{end}" for x, end, high in bars)
    grid = (
        f'<path d="M{LEFT} {row}H{right}" stroke="{_GRID}"/>'
        f'<text x="{LEFT - 8}" y="{row + 4}" text-anchor="end">{number:,}</text>'
        for number, row in _lines(top)
    )
    names = (
        f'<text x="{LEFT + 12}" y="{TOP + 16 + 18 * n}">{escape(name)}: {count:,}</text>'
        for n, (name, count) in enumerate(reversed(clients[-NAMED:]))
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="13" fill="{_AXIS}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="24" font-size="16">{escape(title)}</text>',
            *grid,
            f'<path d="M{LEFT} {floor} {steps} L{right} {floor}Z" fill="{_INK}"/>',
            f'<path d="M{LEFT} {TOP}V{floor}H{right}" fill="none" stroke="{_AXIS}"/>',
            f'<text x="{LEFT}" y="{floor + 20}">1</text>',
            f'<text x="{right}" y="{floor + 20}" text-anchor="end">{len(clients):,}</text>',
            f'<text x="{(LEFT + right) // 2}" y="{floor + 40}" text-anchor="middle">'
            "clients, from the fewest sessions to the most</text>",
            *names,
            "</svg>\n",
        )
    ).encode()


# --- PNG -------------------------------------------------------------------------------------------------------------


def png(clients: Clients, _title: str) -> bytes:
    """With a palette of four: paper, ink, axes, grid (ISO/IEC 15948)."""
    bars, top = _bars(clients)
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    rows = [bytearray(WIDTH) for _ in range(HEIGHT)]
    for number, row in _lines(top):
        rows[row][LEFT:right] = b"\3" * (right - LEFT)
        _write(rows, str(number), LEFT - 8, row - 2 * _DOT)
    for x, end, high in bars:
        for row in range(floor - high, floor):
            rows[row][x:end] = b"\1" * (end - x)
    for row in range(TOP, floor + 1):
        rows[row][LEFT] = 2
    rows[floor][LEFT:right] = b"\2" * (right - LEFT)
    _write(rows, "1", LEFT + 4 * _DOT, floor + 12)
    _write(rows, str(len(clients)), right, floor + 12)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    palette = b"".join(bytes.fromhex(colour[1:]) for colour in ("#ffffff", _INK, _AXIS, _GRID))
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _write(rows: Sequence[bytearray], number: str, right: int, top: int) -> None:
    """Digits that end at a column."""
    left = right - 4 * _DOT * len(number) + _DOT
    for place, digit in enumerate(number):
        for y, dots in enumerate(_DIGITS[digit]):
            for x in (x for x in range(3) if dots >> 2 - x & 1):
                at = left + _DOT * (4 * place + x)
                for row in rows[top + _DOT * y : top + _DOT * (y + 1)]:
                    row[at : at + _DOT] = b"\2" * _DOT


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


FORMATS: Mapping[str, Callable[[Clients, str], bytes]] = {".svg": svg, ".png": png}
