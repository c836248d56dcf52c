"""Every link within the project leads to a file that is there, and to a heading in it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "configs").rglob("*.md"),
    *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]
FENCED = re.compile(r"^(`{3,}).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(<?([^)\s>]+)")


def prose(page):
    return FENCED.sub("", page.read_text())


def anchors(page):
    """The names that GitHub and MyST give to headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(CODE.sub("", prose(page))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_links_and_headings_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "## A *name* of one's `own`\n[a](b.md#c) `[no](link)`\n```text\n# no heading\n```\n"
    )

    assert anchors(page) == {"a-name-of-ones-own"}
    assert LINK.findall(CODE.sub("", prose(page))) == ["b.md#c"]
