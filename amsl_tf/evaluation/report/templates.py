"""The templates of the pages."""

from typing import Any

import jinja2


def render(template: str, **values: Any) -> str:
    """Renders a page. Text is escaped, and a missing value is an error.

    Args:
        template: The name of the template, a file of this package.
        values: The values of its variables.

    Returns:
        The HTML text.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("amsl_tf.evaluation", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template(template).render(values)
