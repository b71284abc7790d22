"""Typefaces: the fonts that draw the samples and the training's pictures.

They are files of packages of PyPI, in `constraints.txt` by version, so that a picture comes out
the same on every machine. `fontpkg-*` and `pylopdf-fonts-*` are Noto and others under the OFL,
`matplotlib` brings DejaVu under the licence of Bitstream Vera.
"""

from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import arabic_reshaper
from PIL import ImageFont


@dataclass(frozen=True)
class Typeface:
    """A font file of an installed package.

    Attributes:
        package: as PyPI names it.
        file: place among the installed packages.
        style: of a file that holds several; the regular one without.
    """

    package: str
    file: str
    style: str = ""

    @property
    def path(self) -> Path:
        """Where the file is.

        Raises:
            PackageNotFoundError: the package is not installed: `pip install -e '.[samples]'`.
        """
        return Path(str(distribution(self.package).locate_file(self.file)))

    def at(self, size: float) -> ImageFont.FreeTypeFont:
        """The font of a size in pixels, which sets letter by letter as they are given.

        Shaping is left to `visible`: Pillow's own needs a library of the system, FriBidi.
        """
        font = ImageFont.truetype(self.path, size, layout_engine=ImageFont.Layout.BASIC)
        if self.style:
            font.set_variation_by_name(self.style)
        return font


def visible(arabic: str) -> str:
    """Arabic letters in the forms that they have beside each other, from left to right."""
    return str(arabic_reshaper.reshape(arabic))[::-1]


def _dejavu(name: str) -> Typeface:
    return Typeface("matplotlib", f"matplotlib/mpl-data/fonts/ttf/{name}.ttf")


def _family(name: str, file: str, style: str = "") -> Typeface:
    return Typeface(f"fontpkg-{name}", f"fontpkg_{name.replace('-', '_')}/files/{file}.ttf", style)


def _noto(language: str, file: str, style: str = "") -> Typeface:
    folder = f"pylopdf_fonts_{language.replace('-', '_')}"
    return Typeface(f"pylopdf-fonts-{language}", f"{folder}/{file}", style)


DEJAVU_SANS: Final = _dejavu("DejaVuSans")
DEJAVU_SANS_BOLD: Final = _dejavu("DejaVuSans-Bold")
DEJAVU_SANS_MONO: Final = _dejavu("DejaVuSansMono")
DEJAVU_SERIF: Final = _dejavu("DejaVuSerif")
ARIMO: Final = _family("arimo", "Arimo[wght]")
ARIMO_BOLD: Final = _family("arimo", "Arimo[wght]", "Bold")
LATO: Final = _family("lato", "Lato-Regular")
NOTO_SANS: Final = _family("noto-sans", "NotoSans[wdth,wght]")
NOTO_SANS_BOLD: Final = _family("noto-sans", "NotoSans[wdth,wght]", "Bold")
NOTO_SERIF: Final = _family("noto-serif", "NotoSerif[wdth,wght]")
OPEN_SANS: Final = _family("open-sans", "OpenSans[wdth,wght]")
NASKH: Final = _noto("ar", "NotoNaskhArabic-Variable.ttf")
NASKH_BOLD: Final = _noto("ar", "NotoNaskhArabic-Variable.ttf", "Bold")
NOTO_SANS_ARABIC: Final = _noto("ar", "NotoSansArabic-Variable.ttf")
NOTO_SANS_CHINESE: Final = _noto("zh-cn", "NotoSansSC-Regular.otf")
NOTO_SERIF_CHINESE: Final = _noto("zh-cn", "NotoSerifSC-Regular.otf")
NOTO_SANS_JAPANESE: Final = _noto("jp", "NotoSansJP-Regular.otf")
NOTO_SERIF_JAPANESE: Final = _noto("jp", "NotoSerifJP-Regular.otf")
NOTO_SANS_KOREAN: Final = _noto("ko", "NotoSansKR-Regular.otf")
NOTO_SERIF_KOREAN: Final = _noto("ko", "NotoSerifKR-Regular.otf")
