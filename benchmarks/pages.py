"""Generated sections of pages: the text between two marker lines of a page that is otherwise written by hand."""

from pathlib import Path
from typing import NamedTuple

from amsl_tf.data.files import atomic_file
from amsl_tf.errors import AMSLError


class Section(NamedTuple):
    """A generated section.

    Attributes:
        name: The name of the section in its marker lines.
        command: The command of `scripts/benchmark.py` that generates it.
    """

    name: str
    command: str

    @property
    def start(self) -> str:
        return f"<!-- {self.name}: made by scripts/benchmark.py {self.command} -->"

    @property
    def end(self) -> str:
        return f"<!-- end of {self.name} -->"

    def split(self, page: Path) -> tuple[str, str]:
        """Returns the text of a page before and after the section, marker lines included.

        Raises:
            AMSLError: The page does not exist or lacks a marker line.
        """
        text = page.read_text() if page.is_file() else ""
        before, start, rest = text.partition(f"{self.start}\n")
        _, end, after = rest.partition(self.end)
        if not start or not end:
            raise AMSLError(f"{page}: expected the marker lines {self.start} and {self.end}. Restore them.")
        return before + start, end + after

    def replace(self, page: Path, text: str) -> None:
        """Replaces the section in a page. Raises AMSLError if the page does not exist or lacks a marker line."""
        before, after = self.split(page)
        with atomic_file(page) as temporary:
            temporary.write_text(f"{before}\n{text.strip()}\n\n{after}")
