"""The documents name what is there: every file, every table."""

from tests.conftest import ROOT


def test_architecture_lists_every_file() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in ("schemas", "pipeline", "services"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "__init__.py":
                assert f"`{path.relative_to(ROOT / package)}`" in text, path


def test_readme_is_short_and_names_the_tables() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    for table in ("media", "segments", "frames", "pages", "answers", "failures", "runs"):
        assert f"`{table}`" in text
