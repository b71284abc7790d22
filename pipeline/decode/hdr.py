"""HDR: frames of PQ, HLG and wide colours in sRGB.

Curves: Recommendation ITU-R BT.2100-2, tables 4 and 5. Diffuse white is 203 cd/m2 (Report ITU-R
BT.2408, section 2.1) and becomes white; what is brighter is white too, so that everything that a
page or a screen can show keeps its value. Primaries: BT.2087, and those of P3 with D65.
"""

from functools import cache
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

_PQ, _HLG = 16, 18  # of ITU-T H.273, table 3
_BT2020, _P3 = 9, 12  # of table 2
_WHITE: Final = 203.0
_PEAK: Final = 1000.0  # of HLG, cd/m2, at which its system gamma is 1.2
_ROWS: Final = 128
_LEVELS: Final = 1 << 16
_LUMINANCE: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)
_TO_709: Final = {
    _BT2020: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    _P3: [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
}

Floats = NDArray[np.float32]


def is_wide(frame: VideoFrame) -> bool:
    """Whether a frame says that its values are not those of ordinary screens."""
    return frame.color_trc in (_PQ, _HLG) or frame.color_primaries in _TO_709


def to_srgb(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """A frame as `uint8 (height, width, 3)` in sRGB."""
    coded = reformatter.reformat(frame, format="rgb48le").to_ndarray().astype(np.uint16, copy=False)
    shown = np.empty(coded.shape, np.uint8)
    for top in range(0, len(coded), _ROWS):
        shown[top : top + _ROWS] = _strip(
            coded[top : top + _ROWS], int(frame.color_trc), int(frame.color_primaries)
        )
    return shown


def _strip(coded: NDArray[np.uint16], curve: int, primaries: int) -> NDArray[np.uint8]:
    light = _curve(curve)[coded]
    if curve == _HLG:
        scene = light @ _LUMINANCE
        light *= (_PEAK / _WHITE * scene**0.2)[..., None]
    matrix = np.array(_TO_709.get(primaries, _TO_709[_BT2020]), np.float32)
    ordinary = (light @ matrix.T).clip(0, 1)
    return _encoded()[(ordinary * (_LEVELS - 1)).astype(np.uint16)]


@cache
def _curve(kind: int) -> Floats:
    """Light for each coded level; 1 is white, but for HLG, where it is the scene's brightest."""
    x = np.arange(_LEVELS, dtype=np.float64) / (_LEVELS - 1)
    if kind == _PQ:
        power = x ** (32 / 2523)
        base = np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)
        light = 10000 * base ** (8192 / 1305) / _WHITE
    elif kind == _HLG:
        bright = (np.exp((x - 0.55991073) / 0.17883277) + 0.28466892) / 12
        light = np.where(x <= 0.5, x**2 / 3, bright)
    else:  # as the screens of sRGB show it
        light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@cache
def _encoded() -> NDArray[np.uint8]:
    """The value in sRGB (IEC 61966-2-1) for each level of light."""
    x = np.arange(_LEVELS, dtype=np.float64) / (_LEVELS - 1)
    value = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return (255 * value).round().astype(np.uint8)
