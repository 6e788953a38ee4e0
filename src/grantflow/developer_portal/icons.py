"""What an uploaded icon must be like (pure): a still picture of a known kind, told by its content and bounded in size.

Nothing is decoded here. What is read is what bounds the work of the browsers that will: kind, width and height, and
whether it moves. An SVG is a document that may carry scripts, and is refused.
"""

import re
from collections.abc import Iterator
from typing import Literal

from grantflow.developer_portal.records import Icon

BYTES_LIMIT = 200 * 1024
SIDE_LIMIT = 1_024
SHORTEST_SIDE = 16


class UnfitIcon(ValueError):
    """The picture cannot be an icon; the message says why and may be shown."""


def read_icon(content: bytes) -> Icon:
    """The icon that these bytes are.

    Raises:
        UnfitIcon: too large, of another kind, damaged, moving, or of a size that is out of bounds.
    """
    if len(content) > BYTES_LIMIT:
        raise UnfitIcon(f"The icon is larger than {BYTES_LIMIT // 1024} KB; save a smaller one.")
    if not content:
        raise UnfitIcon("The file is empty; the icon must be a PNG, JPEG, GIF or WebP picture.")
    kind = next((kind for start, kind in _KINDS if content.startswith(start)), None)
    if kind == "image/webp" and content[8:12] != b"WEBP":
        kind = None
    if kind is None:
        looks_like_svg = b"<svg" in content[:2_000].lower()
        raise UnfitIcon(_SVG if looks_like_svg else _UNKNOWN)
    try:
        width, height = _SIZES[kind](content)
    except (IndexError, _Damaged):
        raise UnfitIcon("The icon is damaged or cut off; save it again and choose it once more.") from None
    if max(width, height) > SIDE_LIMIT or min(width, height) < SHORTEST_SIDE:
        raise UnfitIcon(
            f"The icon is {width} by {height} pixels; it must have {SHORTEST_SIDE} to {SIDE_LIMIT} on each side."
        )
    return Icon(kind, content)


_UNKNOWN = "The icon must be a PNG, JPEG, GIF or WebP picture; this file is none, whatever its name says."
_SVG = "An SVG file can carry scripts, and is not taken; save the icon as PNG."
_MOVES = "The icon moves; choose a picture that stands still."
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF", "image/webp"),
)


#: Among pixels 0xFF is followed by a zero or a restart (JPEG B.1.1.5); the first other marker ends them.
_AFTER_PIXELS = re.compile(rb"\xff[^\x00\xd0-\xd7]")


class _Damaged(Exception):
    """What the format promises is not there."""


def _png(content: bytes) -> tuple[int, int]:
    """Chunks of length, name, content and checksum; IHDR first, IEND last (PNG section 5)."""
    position, size = 8, None
    while True:
        length, name = _number(content, position, 4, "big"), content[position + 4 : position + 8]
        if name == b"IHDR":
            if size is not None:  # whoever shows it might take the other one
                raise _Damaged
            size = _number(content, position + 8, 4, "big"), _number(content, position + 12, 4, "big")
        elif size is None:
            raise _Damaged
        elif name == b"acTL":
            raise UnfitIcon(_MOVES)
        position += 12 + length
        if position > len(content):
            raise _Damaged
        if name == b"IEND":
            return size


def _jpeg(content: bytes) -> tuple[int, int]:
    """Segments up to the end; the size is in the one frame header (JPEG B.2.2): SOF0 to SOF15, but DHT, JPG and DAC."""
    position, size = 2, None
    while True:
        if content[position] != 0xFF:
            raise _Damaged
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in (0xD9, 0xDA) and size is None:  # the end, or pixels before any size
            raise _Damaged
        if marker == 0xD9 and size:
            return size
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if size is not None:  # whoever shows it might take the other one
                raise _Damaged
            size = _number(content, position + 7, 2, "big"), _number(content, position + 5, 2, "big")
        position += 2 + max(2, _number(content, position + 2, 2, "big"))
        if marker == 0xDA:
            after = _AFTER_PIXELS.search(content, position)
            if after is None:
                raise _Damaged
            position = after.start()


def _gif(content: bytes) -> tuple[int, int]:
    """The size that a browser takes: that of the screen, or of the picture on it where that is larger."""
    width, height = _number(content, 6, 2, "little"), _number(content, 8, 2, "little")
    pictures = list(_gif_pictures(content))
    if not pictures:
        raise _Damaged
    if len(pictures) > 1:
        raise UnfitIcon(_MOVES)
    right, bottom = pictures[0]
    return max(width, right), max(height, bottom)


def _gif_pictures(content: bytes) -> Iterator[tuple[int, int]]:
    """Where each picture ends, right and bottom (GIF89a sections 18 to 26)."""
    position = 13 + _colors(content[10])
    while (block := content[position]) != 0x3B:
        if block == 0x21:
            position = _after_blocks(content, position + 2)
        elif block == 0x2C:
            left, top, width, height = (_number(content, position + offset, 2, "little") for offset in (1, 3, 5, 7))
            yield left + width, top + height
            position = _after_blocks(content, position + 11 + _colors(content[position + 9]))
        else:
            raise _Damaged


def _colors(flags: int) -> int:
    """The length of the table of colours that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, position: int) -> int:
    while length := content[position]:
        position += 1 + length
    return position + 1


def _webp(content: bytes) -> tuple[int, int]:
    """The first chunk tells the size (RFC 9649 section 2.5 to 2.7)."""
    if _number(content, 4, 4, "little") + 8 > len(content):
        raise _Damaged
    match content[12:16]:
        case b"VP8X":
            if content[20] & 0x02:
                raise UnfitIcon(_MOVES)
            return _number(content, 24, 3, "little") + 1, _number(content, 27, 3, "little") + 1
        case b"VP8L" if content[20] == 0x2F:
            bits = _number(content, 21, 4, "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if content[23:26] == b"\x9d\x01\x2a":
            return _number(content, 26, 2, "little") & 0x3FFF, _number(content, 28, 2, "little") & 0x3FFF
    raise _Damaged


def _number(content: bytes, position: int, length: int, order: Literal["big", "little"]) -> int:
    part = content[position : position + length]
    if len(part) < length:
        raise _Damaged
    return int.from_bytes(part, order)


_SIZES = {"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}
