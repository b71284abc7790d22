"""The sample screenshot: a tall, made-up settings screen with labelled buttons."""

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from samples.typefaces import DEJAVU_SANS

SIZE: Final = (360, 1560)
TITLE: Final = "Settings"
ROWS: Final = ("Account", "Wi-Fi", "Bluetooth", "Display", "Sound", "Storage", "Battery", "About")
BUTTONS: Final = (("Save", (46, 125, 50)), ("Cancel", (198, 40, 40)))


def make_screen(path: Path) -> None:
    """Write the PNG."""
    image = Image.new("RGB", SIZE, (246, 247, 249))
    draw = ImageDraw.Draw(image)
    title, text = DEJAVU_SANS.at(28), DEJAVU_SANS.at(22)
    draw.rectangle((0, 0, SIZE[0], 96), fill=(25, 60, 120))
    draw.text((24, 48), TITLE, "white", title, anchor="lm")
    for index, row in enumerate(ROWS):
        top = 120 + index * 140
        draw.rounded_rectangle((16, top, SIZE[0] - 16, top + 116), 16, "white", (210, 214, 220))
        draw.text((40, top + 58), row, (30, 32, 36), text, anchor="lm")
        draw.rounded_rectangle((272, top + 42, 320, top + 74), 16, (140, 190, 250))
    for index, (label, colour) in enumerate(BUTTONS):
        top = 1270 + index * 130
        draw.rounded_rectangle((40, top, SIZE[0] - 40, top + 100), 24, colour)
        draw.text((SIZE[0] / 2, top + 50), label, "white", title, anchor="mm")
    image.save(path, optimize=True)
