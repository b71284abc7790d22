"""The documents name what is there: every room, every table."""

from tests.conftest import ROOT


def test_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in ("schemas", "pipeline", "services"):
        for room in [ROOT / package, *(ROOT / package).iterdir()]:
            if (room / "__init__.py").exists():
                assert f"`{room.relative_to(ROOT)}/`" in text, room


def test_readme_is_short_and_names_the_tables() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    for table in ("media", "segments", "frames", "pages", "lines", "answers", "failures", "runs"):
        assert f"`{table}`" in text
