"""A browser without a window, for tests that open pages."""

import shutil
from contextlib import contextmanager

import pytest


@contextmanager
def chromium(reachable=""):
    """Chromium, as long as the test runs, that finds no host.

    Args:
        reachable: which hosts it finds after all, as a rule of its resolver.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no chromium with chromedriver; apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1400,820")
    options.add_argument(f"--host-resolver-rules=MAP * ~NOTFOUND{reachable}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as driver:
        yield driver
