"""The reports and TensorBoard of a small training in a browser."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from tests.browser.look import browser, check_recording_report, check_report, check_tensorboard, find_browser
from tests.conftest import make_detector

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_browser() is None, reason="there is no Chromium on the PATH")]


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    """The folder for screenshots: AMSL_TF_SCREENSHOTS if it is set, else a temporary one."""
    folder = Path(os.environ.get("AMSL_TF_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_report(evaluated, screenshots):
    from tests.evaluation.report.test_page import report_of

    report_of(evaluated)
    with browser() as started:
        check_report(started, evaluated / "results/report.html", screenshots)


def test_recording_report(screenshots, tmp_path):
    """100,000 rows of 8 channels, a score every 4 rows."""
    from tests.evaluation.report.test_recording import make_scores, page_of

    page_of(tmp_path, *make_scores(rows=100_000, channels=8, events=5, stride=4))
    with browser() as started:
        check_recording_report(started, tmp_path / "recording.html", screenshots)


def test_tensorboard(waves, tmp_path, screenshots):
    settings = {"num_slots": 6, "epochs": 2, "mixed_precision": "off", "batch_size": 8}
    make_detector(**settings).fit(waves, log_dir=tmp_path, abnormal=np.flip(waves[:1], axis=2))
    with browser() as started:
        check_tensorboard(started, tmp_path, screenshots)
