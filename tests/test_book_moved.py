"""Addresses that have moved: each leads to a page and a figure that are there."""

from pathlib import Path

import moved
import yaml

BOOK = Path(__file__).parents[1] / "book"


def test_an_old_page_leads_on_by_its_anchors(tmp_path):
    (tmp_path / "deep").mkdir()
    listed = tmp_path / "moved.yml"
    listed.write_text(
        "- {page: deep/old, to: deep/new, anchors: {fig-a: other#fig-b}}\n- {page: top, to: index}"
    )
    moved.leave(tmp_path, listed)
    text = (tmp_path / "deep/old.html").read_text()
    assert '{"fig-a": "../other.html#fig-b"}' in text
    assert '<a href="../deep/new.html">' in text
    assert '|| "index.html" + location.hash' in (tmp_path / "top.html").read_text()


def test_what_they_lead_to_is_there():
    entries = yaml.safe_load((BOOK / "moved.yml").read_text())
    toc = (BOOK / "_toc.yml").read_text().split()
    figures = {e["id"]: e["notebook"] for e in yaml.safe_load((BOOK / "figures.yml").read_text())}
    for entry in entries:
        assert entry["page"] not in toc
        for to in (entry["to"], *entry["anchors"].values()):
            page, _, anchor = to.partition("#")
            assert page in toc
            assert not anchor or f"notebooks/{figures[anchor]}" == f"{page}.ipynb"
