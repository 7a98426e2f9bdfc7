"""Parts of pages that commands write, between two lines of a page that people write."""

from pathlib import Path

from amsl_tf.data.files import atomic_file
from amsl_tf.errors import AMSLError


def put_between(page: Path, start: str, end: str, text: str) -> None:
    """Replaces what stands in a page between two lines.

    Raises:
        AMSLError: The page lacks one of them.
    """
    before, found_start, rest = page.read_text().partition(f"{start}\n")
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise AMSLError(f"{page}: expected the lines {start} and {end}, and found not both. Put them back.")
    with atomic_file(page) as temporary:
        temporary.write_text(f"{before}{start}\n{text}{end}{after}")
