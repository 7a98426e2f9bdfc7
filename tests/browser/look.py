"""Opens the pages in Chromium, checks their contents and takes screenshots.

python -m tests.browser.look --report results/report.html --log-dir results/tensorboard --output screenshots
"""

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

DESKTOP, WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 1600, "height": 900}, {"width": 390, "height": 844}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT = 180_000  # milliseconds, long enough for busy machines
expect.set_options(timeout=TIMEOUT)


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(started: Browser, url: str, **settings) -> Iterator[Page]:
    """Opens a page; errors on its console and failed requests are assertion errors."""
    context = started.new_context(**settings)
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(request.url) if request.failure != "net::ERR_ABORTED" else None)
    try:
        page.goto(url)
        yield page
        assert not errors, errors
    finally:
        context.close()


def check_report(started: Browser, report: Path, output: Path) -> None:
    """Checks the report in light and dark mode and on a phone: all figures, no overflow, no requests."""
    for name, settings in {
        "light": {"viewport": DESKTOP, "color_scheme": "light"},
        "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
        "phone": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2},
    }.items():
        requested: list[str] = []
        with opened(started, report.resolve().as_uri(), **settings) as page:
            page.on("request", lambda request, requested=requested: requested.append(request.url))
            page.reload()
            assert [url for url in requested if not url.startswith(("data:", report.resolve().as_uri()))] == []
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            for figure in (
                "scores_nearest_normal",
                "confusion_nearest_normal",
                "roc",
                "precision_recall",
                "by_activity",
                "view_errors",
            ):
                expect(page.locator(f"#{figure} svg")).to_be_visible()
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= settings["viewport"]["width"], f"{name}: {width} pixels wide"
            ink, paper = (page.evaluate(f"getComputedStyle(document.body).{of}") for of in ("color", "backgroundColor"))
            assert (brightness(ink) > brightness(paper)) == (name == "dark")
            page.screenshot(path=output / f"report-{name}.png", full_page=True)


def check_recording_report(started: Browser, report: Path, output: Path) -> None:
    """Checks the page of a recording: it opens fast and works offline, figures zoom together, no overflow on a small phone."""
    for name, settings in {
        "light": {"viewport": DESKTOP, "color_scheme": "light"},
        "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
        "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "device_scale_factor": 2},
    }.items():
        with opened(started, report.resolve().as_uri(), offline=True, timezone_id="Pacific/Auckland", **settings) as page:
            expect(page.locator("#plot-score canvas")).to_be_visible()
            loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            print(f"{report.name}, {name}: opened in {loaded / 1000:.2f} s, {report.stat().st_size / 1e6:.2f} MB")
            page.evaluate("dispatchEvent(new Event('beforeprint'))")  # draws the figures below the screen, too
            expect(page.locator(".plot:not(:has(canvas))")).to_have_count(0)
            page.wait_for_timeout(500)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= settings["viewport"]["width"], f"{name}: {width} pixels wide"
            ink, paper = (page.evaluate(f"getComputedStyle(document.body).{of}") for of in ("color", "backgroundColor"))
            assert (brightness(ink) > brightness(paper)) == (name == "dark")
            page.screenshot(path=output / f"recording-{name}.png", full_page=True)
            whole = shown_sections(page)
            assert len(whole) == 1
            assert page.evaluate("placeText(0)") == "2024-03-31 01:00:00.000"  # in the zone of the recording
            page.get_by_role("button", name="Zoom in").click()
            page.wait_for_function(f"views.get('recording').plots.every(u => u.scales.x.min > {whole[0][0]})")
            assert len(shown_sections(page)) == 1
            page.get_by_role("button", name="All").click()
            page.wait_for_function(f"views.get('recording').plots.every(u => u.scales.x.min === {whole[0][0]})")
            if name == "phone":
                continue
            box = page.locator("#plot-score .u-over").bounding_box()
            page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30, steps=3)
            page.mouse.up()
            page.wait_for_function(f"views.get('recording').plots.every(u => u.scales.x.min > {whole[0][0]})")
            ((low, high),) = shown_sections(page)
            length = whole[0][1] - whole[0][0]
            assert abs((low - whole[0][0]) / length - 1 / 4) < 0.01
            assert abs((high - whole[0][0]) / length - 1 / 2) < 0.01
            page.screenshot(path=output / f"recording-{name}-zoomed.png")
            page.mouse.dblclick(box["x"] + 50, box["y"] + 20)
            page.wait_for_function(f"views.get('recording').plots.every(u => u.scales.x.min === {whole[0][0]})")
            assert shown_sections(page) == whole


def shown_sections(page: Page) -> list[list[float]]:
    """Returns the different sections that the figures of the whole recording show."""
    shown = page.evaluate("views.get('recording').plots.map(u => [u.scales.x.min, u.scales.x.max])")
    return [list(section) for section in sorted(set(map(tuple, shown)))]


def brightness(colour: str) -> int:
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))


def check_tensorboard(started: Browser, log_dir: Path, output: Path) -> None:
    """Checks curves, pictures, histograms, text, settings and slots."""
    with tensorboard(log_dir) as url:
        for name, (location, texts) in {
            "scalars": ("?smoothing=0&tagFilter=^loss#timeseries", ("loss/total", "loss/reconstruction")),
            "memory": ("?smoothing=0&tagFilter=^memory_effective#timeseries", ("memory_effective_slots/global",)),
            "gates": ("?smoothing=0&tagFilter=^fusion#timeseries", ("fusion_gate/global_raw",)),
            "images": ("?smoothing=0&tagFilter=^windows#timeseries", ("windows/normal_1",)),
            "histograms": ("?smoothing=0&tagFilter=^attention#timeseries", ("attention_share/global",)),
            "text": ("#text", ("network",)),
            "hparams": ("#hparams", ("learning_rate", "loss/total")),
            "projector": ("#projector", ("memory_slots",)),
        }.items():
            with opened(started, f"{url}/{location}", viewport=WIDE) as page:
                for text in texts:
                    expect(locate(page, text)).to_be_attached()
                page.wait_for_timeout(3000)  # plots are drawn after the text
                page.screenshot(path=output / f"tensorboard-{name}.png")


def locate(page: Page, text: str) -> Locator:
    """Locates the first occurrence of a text; the projector is in nested frames, and titles of cards are abbreviated."""
    if text == "memory_slots":
        return page.frame_locator("iframe").frame_locator("iframe").get_by_text(text).first
    return page.locator(f'[title="{text}"]').or_(page.get_by_text(text)).first


@contextmanager
def tensorboard(log_dir: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", log_dir, "--port", port, "--host", "127.0.0.1"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + TIMEOUT / 1000
        while not active_tabs(url) >= {"timeseries", "text", "hparams", "projector"}:
            assert process.poll() is None, "TensorBoard has exited"
            assert time.monotonic() < deadline, f"TensorBoard shows only {active_tabs(url)}"
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()


def active_tabs(url: str) -> set[str]:
    """Returns the tabs with data; none while TensorBoard starts."""
    try:
        with urlopen(f"{url}/data/plugins_listing", timeout=5) as response:
            return {name for name, plugin in json.load(response).items() if plugin["enabled"]}
    except OSError:
        return set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for option in ("--report", "--log-dir", "--output"):
        parser.add_argument(option, type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        check_report(chromium, arguments.report, arguments.output)
        check_tensorboard(chromium, arguments.log_dir, arguments.output)
