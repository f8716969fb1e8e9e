"""The page in Chromium: paste, look, change the domain, download.

With MULTIBERT_PAGE=docs/page.png and MULTIBERT_MODEL=fa_multibert the screenshot of the docs is
made anew.
"""

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
exceptions = pytest.importorskip("selenium.common.exceptions")
pytest.importorskip("streamlit")
pytest.importorskip("spacy_streamlit")

BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "chrome"])), None)
DRIVER = shutil.which("chromedriver")
PATIENCE = 120

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="needs Chromium: apt-get install chromium chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def address(trained_folder: Path) -> Iterator[str]:
    """A page of the toy pipeline, served as `multibert serve` does."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    model = os.environ.get("MULTIBERT_MODEL", str(trained_folder))
    command = [sys.executable, "-m", "spacy", "multibert", "serve", model, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    url = f"http://localhost:{port}"
    try:
        until(lambda: answers(f"{url}/_stcore/health"))
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def until(found: Callable[[], Any]) -> Any:
    """RETURNS (Any): What was found, as soon as it is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if value := found():
                return value
        except exceptions.WebDriverException:
            pass  # the page was being drawn anew
        time.sleep(0.2)
    raise TimeoutError("The page does not show what it should")


@pytest.fixture
def browser(tmp_path: Path, address: str) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1200,1500"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.get(address)
        yield driver
    finally:
        driver.quit()


def test_paste_look_change_the_domain_download(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def all_of(css: str) -> list[Any]:
        found: list[Any] = browser.find_elements(By.CSS_SELECTOR, css)
        return found

    def labels() -> list[str]:
        return [own.text for own in all_of("mark span")]

    area = until(lambda: all_of("textarea"))[0]
    area.send_keys("هتل سفر تبریز دریا", Keys.ENTER, Keys.ENTER, "<b>گل</b> بازی لیگ تبریز")
    area.send_keys(Keys.CONTROL, Keys.ENTER)
    until(lambda: len(all_of("h3")) == 2 and len(all_of(".bars .chosen")) == 2)
    assert not all_of("[data-testid=stException]")
    assert not all_of(".fa b")  # what was pasted is shown as text
    assert all_of(".fa")[0].value_of_css_property("direction") == "rtl"
    if target := os.environ.get("MULTIBERT_PAGE"):
        next(own for own in all_of("button") if own.text == "دو رشته").click()
        until(lambda: "سامسونگ" in " ".join(own.text for own in all_of(".fa")))
        time.sleep(2)
        browser.save_screenshot(target)
        return
    detected = labels()
    assert len(detected) >= 2
    (box,) = all_of("[data-testid=stMultiSelect] input")
    box.send_keys("news", Keys.ENTER)
    until(lambda: len(all_of("h3")) == 4)
    assert [own.text for own in all_of("h3")][2:] == ["1 · news (given)", "2 · news (given)"]
    assert labels()[: len(detected)] == detected
    button = "[data-testid=stDownloadButton] button"
    until(lambda: browser.find_element(By.CSS_SELECTOR, button).click() is None)
    path = tmp_path / "entities-detected.csv"
    until(path.exists)
    with path.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == detected
    assert "تبریز" in [row["entity"] for row in rows]
