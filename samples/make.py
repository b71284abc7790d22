"""Make the committed samples: `python -m samples.make [FOLDER]`.

Needs `pip install -e '.[samples]'`, which brings the fonts too.
"""

import json
import sys
from pathlib import Path

from samples.document import SCRIPTS, TABLE, make_document
from samples.screen import BUTTONS, ROWS, make_screen
from samples.signs import SIGNS, make_signs
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
            "table": TABLE,
            "scripts": {language: sentence for language, _, sentence in SCRIPTS},
        },
        "signs.pdf": {"signs": {language: text for language, _, text in SIGNS}},
        "phone.png": {"rows": ROWS, "buttons": [label for label, _ in BUTTONS]},
    }


def main() -> None:
    """Write all samples to a folder, by default the one beside this file."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    make_video(folder / "scenes.mkv")
    make_document(folder / "report.pdf")
    make_signs(folder / "signs.pdf")
    make_screen(folder / "phone.png")
    text = json.dumps(contents(), ensure_ascii=False, indent=1)
    (folder / "contents.json").write_text(text + "\n")
    for path in sorted(folder.iterdir()):
        if path.suffix in (".mkv", ".pdf", ".png", ".json"):
            print(f"{path.name:16} {path.stat().st_size:>9,} bytes")


if __name__ == "__main__":
    main()
