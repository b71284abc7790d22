"""Make the committed samples: `python -m samples.make [FOLDER]`.

Needs `pip install -e '.[samples]'`, which brings the fonts too.
"""

import json
import sys
from itertools import accumulate
from pathlib import Path

from samples.document import FIRST_PAGE, SCRIPTS, TABLE, TABLE_HEADING, make_document
from samples.receipt import DATE, ITEMS, SHOP, THANKS, TOTAL, make_receipt
from samples.scan import LINES, make_scan
from samples.screen import BUTTONS, ROWS, TITLE, make_screen
from samples.signs import SIGNS, make_signs
from samples.talk import SLIDES, make_talk
from samples.video import CUES, SCENE_S, SCENES, make_video


def contents() -> dict[str, object]:
    """What the samples show: the truth for tests."""
    scenes = [
        {"start_s": index * SCENE_S, "end_s": (index + 1) * SCENE_S, "kind": kind, "shows": what}
        for index, (kind, what, _) in enumerate(SCENES)
    ]
    return {
        "scenes.mkv": {
            "scenes": scenes,
            "cues": [{"start_s": start, "end_s": end, "text": text} for start, end, text in CUES],
        },
        "report.pdf": {
            "pages": 5,
            "blank_page": 4,
            "first_page": FIRST_PAGE,
            "table_heading": TABLE_HEADING,
            "table": TABLE,
            "scripts": {language: sentence for language, _, sentence in SCRIPTS},
        },
        "signs.pdf": {"signs": {language: text for language, _, text in SIGNS}},
        "phone.png": {
            "title": TITLE,
            "rows": ROWS,
            "buttons": [label for label, _ in BUTTONS],
        },
        "talk.mp4": {"slides": _slides()},
        "scan.pdf": {"lines": LINES},
        "receipt.jpg": {
            "shop": SHOP,
            "date": DATE,
            "items": ITEMS,
            "total": TOTAL,
            "thanks": THANKS,
        },
    }


def _slides() -> list[dict[str, object]]:
    """The slides of the talk, each with the interval in which it stands."""
    ends = list(accumulate(slide.seconds for slide in SLIDES))
    return [
        {
            "start_s": end - slide.seconds,
            "end_s": end,
            "title": slide.title,
            "points": slide.points,
        }
        for slide, end in zip(SLIDES, ends, strict=True)
    ]


def main() -> None:
    """Write all samples to a folder, by default the one beside this file."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    make_video(folder / "scenes.mkv")
    make_document(folder / "report.pdf")
    make_signs(folder / "signs.pdf")
    make_screen(folder / "phone.png")
    make_talk(folder / "talk.mp4")
    make_scan(folder / "scan.pdf")
    make_receipt(folder / "receipt.jpg")
    text = json.dumps(contents(), ensure_ascii=False, indent=1)
    (folder / "contents.json").write_text(text + "\n")
    for path in sorted(folder.iterdir()):
        if path.suffix in (".mkv", ".mp4", ".pdf", ".png", ".jpg", ".json"):
            print(f"{path.name:16} {path.stat().st_size:>9,} bytes")


if __name__ == "__main__":
    main()
