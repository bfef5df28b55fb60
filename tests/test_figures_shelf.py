import pytest

from ecgadv.errors import EcgadvError
from ecgadv.figures import shelf
from ecgadv.figures.citable import FORMATS


@pytest.fixture
def book(tmp_path):
    registry, made = tmp_path / "figures.yml", tmp_path / "made"
    registry.write_text(
        "- {id: fig-a, notebook: 01.ipynb, title: A}\n"
        "- {id: fig-bb, notebook: 02.ipynb, title: B}\n"
    )
    made.mkdir()
    for suffix in FORMATS:
        (made / f"fig-a.{suffix}").write_text(f"a {suffix}")
    return registry, made


def test_listing_says_what_is_made(book):
    assert shelf.listing(*book) == ["fig-a   made  01.ipynb: A", "fig-bb  not made  02.ipynb: B"]


def test_copy_takes_all_five_files(book, tmp_path):
    copied = shelf.copy(["fig-a"], *book, tmp_path / "out")
    assert [path.name for path in copied] == [f"fig-a.{suffix}" for suffix in FORMATS]
    assert [path.read_text() for path in copied] == [f"a {suffix}" for suffix in FORMATS]


@pytest.mark.parametrize(
    ("name", "words"), [("fig-c", "no figure 'fig-c'"), ("fig-bb", "run `make book` first")]
)
def test_copy_tells_what_it_cannot_find(book, tmp_path, name, words):
    with pytest.raises(EcgadvError, match=words):
        shelf.copy([name], *book, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_the_book_is_told(tmp_path):
    with pytest.raises(EcgadvError, match="checkout of the repository"):
        shelf.listing(tmp_path / "figures.yml", tmp_path)
