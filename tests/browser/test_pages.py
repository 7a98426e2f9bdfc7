"""Report and TensorBoard in a browser, on a small run."""

import os
from pathlib import Path

import numpy as np
import pytest

from amsl_tf import AMSLDetector

pytest.importorskip("playwright", reason="playwright is not installed")

from tests.browser.look import browser, find_browser, look_at_report, look_at_tensorboard

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_browser() is None, reason="no Chromium was found on the PATH")]


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    """Where they are put: the folder that AMSL_TF_SCREENSHOTS names, to be looked at, or a temporary one."""
    folder = Path(os.environ.get("AMSL_TF_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_report(evaluated, screenshots):
    from tests.report.test_page import report_of

    report_of(evaluated)
    with browser() as started:
        look_at_report(started, evaluated / "results/report.html", screenshots)


def test_tensorboard(waves, tmp_path, screenshots):
    settings = {"num_slots": 6, "epochs": 2, "mixed_precision": "off", "batch_size": 8}
    AMSLDetector(**settings).fit(waves, log_dir=tmp_path, abnormal=np.flip(waves[:1], axis=2))
    with browser() as started:
        look_at_tensorboard(started, tmp_path, screenshots)
