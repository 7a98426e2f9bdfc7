"""Parts of pages that commands write, between two lines of a page that people write."""

from pathlib import Path

from amsl_tf.data.files import atomic_file
from amsl_tf.errors import AMSLError


def parts_of(page: Path, start: str, end: str) -> tuple[str, str]:
    """What stands in a page before and after a part that a command writes, with the lines around it.

    Raises:
        AMSLError: There is no page, or it lacks one of the lines.
    """
    text = page.read_text() if page.is_file() else ""
    before, found_start, rest = text.partition(f"{start}\n")
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise AMSLError(f"{page}: expected the lines {start} and {end}, and found not both. Put them back.")
    return before + found_start, found_end + after


def put_between(page: Path, start: str, end: str, text: str) -> None:
    """Replaces what stands in a page between two lines.

    Raises:
        AMSLError: There is no page, or it lacks one of them.
    """
    before, after = parts_of(page, start, end)
    with atomic_file(page) as temporary:
        temporary.write_text(before + text + after)
