"""TIFF: what is a page, what is a preview in a camera's raw file, and when there are too many."""

import struct
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.decode import decode
from schemas.errors import InputError
from schemas.shards import MediaWarning
from tests.decode.test_stills import PLAN, near, read

WIDE, HIGH, RED = 16, 12, (192, 32, 32)
MOSAIC, LINEAR_RAW = 32803, 34892
SUB, VERSION = 330, 50706

Tags = dict[int, int]


def tiff(chain: list[Tags], sub: Tags | None = None, order: str = "<", mark: bytes = b"") -> bytes:
    """Red pictures of plain RGB by hand, with these tags beside; `sub` is below the first."""
    values = np.full((HIGH, WIDE, 3), RED, np.uint8).tobytes()
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 42)
    bits_at = 8 + len(mark)
    data_at = bits_at + 6
    at = data_at + len(values)
    made = bytearray(mark + struct.pack(order + "3H", 8, 8, 8) + values)
    plain = {256: WIDE, 257: HIGH, 258: bits_at, 259: 1, 262: 2, 273: data_at, 277: 3, 278: HIGH}
    plain[279] = len(values)

    def directory(tags: Tags, *, is_last: bool) -> int:
        whole, place = sorted((plain | tags).items()), 8 + len(made)
        made.extend(struct.pack(order + "H", len(whole)))
        for tag, value in whole:
            kind, count = (3, 3) if tag == 258 else (4, 1)
            made.extend(struct.pack(order + "HHII", tag, kind, count, value))
        made.extend(struct.pack(order + "I", 0 if is_last else 8 + len(made) + 4))
        return place

    if sub is not None:
        chain = [chain[0] | {SUB: directory(sub, is_last=True)}, *chain[1:]]
        at = 8 + len(made)
    for number, tags in enumerate(chain, 1):
        directory(tags, is_last=number == len(chain))
    return head + struct.pack(order + "I", at) + bytes(made)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("chain", "sub", "mark"),
    [
        ([{}, {}], None, b"CR\2\0\0\0\0\0"),  # CR2: previews, then the raw without a name
        ([{254: 1}], {262: MOSAIC}, b""),  # NEF, ARW
        ([{}], {262: MOSAIC}, b""),  # older ones, which do not say that it is a preview
        ([{}], {262: LINEAR_RAW}, b""),
        ([{}, {262: MOSAIC}], None, b""),
        ([{262: MOSAIC, VERSION: 1}], None, b""),  # DNG without a preview
        ([{254: 1, VERSION: 1}], None, b""),
    ],
)
def test_the_preview_of_a_raw_file_is_not_the_photograph(
    tmp_path: Path, chain: list[Tags], sub: Tags | None, mark: bytes, order: str
) -> None:
    (tmp_path / "a").write_bytes(tiff(chain, sub, order, mark))
    with pytest.raises(InputError, match=r"raw file, .*; export it as TIFF") as caught:
        read(tmp_path / "a")
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize(
    "head",
    [b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW ", b"\0MRM", b"\0\0\0\x18ftypcrx "],
)
def test_raw_files_that_are_no_tiff(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a").write_bytes(head.ljust(5000, b"\0"))
    with pytest.raises(InputError, match="raw file") as caught:
        read(tmp_path / "a")
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("order", ["<", ">"])
def test_smaller_versions_below_a_page_are_no_raw(tmp_path: Path, order: str) -> None:
    (tmp_path / "a").write_bytes(tiff([{}, {254: 4}, {}], {254: 1}, order))
    info, rows, picture = read(tmp_path / "a")
    assert (info.pages, len(rows)) == (2, 2)
    assert near(picture[6, 8], RED, 0)
    (warning,) = (one for one in decode(tmp_path / "a", PLAN) if isinstance(one, MediaWarning))
    assert warning.code == "not_read"


def test_too_many_pictures_are_refused_early(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(tiff([{}] * 100_000))
    began = time.monotonic()
    with pytest.raises(InputError, match="more than 20000 pictures") as caught:
        read(tmp_path / "a")
    assert caught.value.code == "too_large"
    assert time.monotonic() - began < 10


def test_a_chain_that_bites_its_tail_ends(tmp_path: Path) -> None:
    whole = bytearray(tiff([{}, {}]))
    whole[-4:] = whole[4:8]
    (tmp_path / "a").write_bytes(whole)
    assert len(read(tmp_path / "a")[1]) == 2
