"""The comparison of what the plain port and the product learn."""

import json

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.views import VIEW_NAMES
from benchmarks import losses


@pytest.mark.slow
def test_the_first_losses_are_the_same_and_a_difference_is_an_error(tmp_path, rng, monkeypatch):
    views = {name: rng.normal(size=(32, 16, 6)).astype(np.float32) for name in VIEW_NAMES}
    monkeypatch.setattr(losses, "open_views", lambda *_: views)
    monkeypatch.setitem(losses.LIMITS, "bfloat16", 0.0)
    report = tmp_path / "losses.json"
    with pytest.raises(AMSLError, match="losses in bfloat16 differ"):
        losses.run(tmp_path, 2, report)
    curves = json.loads(report.read_text())["curves"]
    np.testing.assert_allclose(curves["float32"][0], curves["reference"][0], rtol=1e-4)
    np.testing.assert_allclose(curves["bfloat16"][0], curves["reference"][0], rtol=1e-2)
