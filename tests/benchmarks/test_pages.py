"""Generated sections of pages, and tables in Markdown."""

import pytest

from amsl_tf.errors import AMSLError
from benchmarks.pages import Section
from benchmarks.rows import format_mean, markdown_table
from tests.benchmarks.conftest import table_rows, write_page

SECTION = Section("results", "accuracy")


def test_replace_keeps_the_rest_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    write_page(page, SECTION, "old\n")
    for _ in range(2):
        SECTION.replace(page, "new\n")
        assert page.read_text() == f"before\n{SECTION.start}\n\nnew\n\n{SECTION.end}\nafter\n"


@pytest.mark.parametrize("text", ["", "{start}\n", "{end}\n", "{end}\n{start}\n"])
def test_missing_markers_are_an_error(text, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text.format(start=SECTION.start, end=SECTION.end))
    with pytest.raises(AMSLError, match="expected the marker lines"):
        SECTION.replace(page, "new")


def test_missing_page_is_an_error(tmp_path):
    with pytest.raises(AMSLError, match="expected the marker lines"):
        SECTION.split(tmp_path / "page.md")


def test_tables_keep_cells_as_they_are():
    """Numbers stay text, short rows are completed, and columns of text are aligned left."""
    table = markdown_table(["method", "score", "F1"], [["AMSL", "x", "0.970 ± 0.010"], ["a"]], text=("score",))
    assert table_rows(table) == [["method", "score", "F1"], ["AMSL", "x", "0.970 ± 0.010"], ["a", "", ""]]
    alignment = table.splitlines()[1].strip("|").split("|")
    assert [cell.endswith(":") for cell in alignment] == [False, False, True]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_mean_and_standard_deviation():
    assert format_mean([0.25]) == "0.250"
    assert format_mean([0.25, 0.75]) == "0.500 ± 0.354"
    assert format_mean([0.25, None]) == ""
    assert format_mean([]) == ""
