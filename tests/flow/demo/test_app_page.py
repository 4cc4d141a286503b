"""The page in a browser: Debian's chromium, driven by selenium; left out where that is missing, see ``conftest.py``."""

import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.flow.demo.conftest import CHROMIUM, DRIVER
from tests.flow.demo.pages import SERVER

OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
           "--disable-background-networking", "--disable-component-update", "--window-size=1200,1000")
SHOTS = Path("build", "tests", "screenshots").resolve()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@contextmanager
def server(port=0, *, wrong=0):
    """Start a server for `digits` whose machine is the integer model, ``wrong`` added to its first logit."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(wrong)], stdout=subprocess.PIPE, text=True)
    try:
        yield re.match(r"open (http://\S+)", process.stdout.readline())[1]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def address():
    with server() as address:
        yield address


def text(browser, name):
    return browser.find_element(By.ID, name).text


def expect(browser, condition, seconds=20):
    return WebDriverWait(browser, seconds, poll_frequency=0.05).until(lambda _: condition())


def open_page(browser, address):
    browser.get(address)
    expect(browser, lambda: not browser.find_element(By.ID, "run").get_property("disabled"))


def draw_seven(browser):
    canvas = browser.find_element(By.ID, "canvas")
    for x, y, moves in ((-80, -110, ((160, 0), (-70, 220))), (-40, 5, ((110, 0),))):
        pen = ActionChains(browser, duration=30).move_to_element_with_offset(canvas, x, y).click_and_hold()
        for move in moves:
            pen.move_by_offset(*move)
        pen.release().perform()


def test_a_drawn_seven_is_a_seven(browser, address):
    open_page(browser, address)
    draw_seven(browser)
    expect(browser, lambda: text(browser, "equal").startswith("the integer model says 7: its logits are equal")
           and not text(browser, "message"))  # both strokes are answered
    assert text(browser, "class") == "7"
    assert "cycles on the golden" in text(browser, "cycles")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#bars li")) == 10
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(SHOTS / "seven.png"))
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.find_element(By.ID, "clear").click()
    browser.find_element(By.ID, "run").click()
    assert text(browser, "message") == "nothing is drawn"


def test_the_keyboard_draws_too(browser, address):
    open_page(browser, address)
    canvas = browser.find_element(By.ID, "canvas")
    canvas.send_keys(*[Keys.ARROW_UP] * 7)
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(*[Keys.ARROW_DOWN] * 13).key_up(Keys.SHIFT).perform()
    canvas.send_keys(Keys.ENTER)
    assert expect(browser, lambda: text(browser, "class")) == "1"


def test_a_wrong_machine_is_shown_as_wrong(browser):
    with server(wrong=30_000) as address:
        open_page(browser, address)
        draw_seven(browser)
        expect(browser, lambda: text(browser, "equal").startswith("not what the integer model says (7)"))
        assert text(browser, "class") == "0"
        assert browser.find_element(By.ID, "equal").get_attribute("class") == "bad"


def test_a_broken_file_is_refused_with_the_reason(browser, address, tmp_path):
    open_page(browser, address)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture")
    browser.find_element(By.ID, "file").send_keys(str(broken))
    expect(browser, lambda: "the file cannot be read as an image" in text(browser, "message"))
    assert not browser.find_element(By.ID, "answer").is_displayed()


def test_two_tabs_at_once(browser, address):
    open_page(browser, address)
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    open_page(browser, address)
    draw_seven(browser)
    second = browser.current_window_handle
    browser.switch_to.window(first)
    draw_seven(browser)
    for tab in (first, second):
        browser.switch_to.window(tab)
        expect(browser, lambda: text(browser, "class") == "7")
    browser.close()
    browser.switch_to.window(first)


def test_a_server_that_comes_back(browser):
    with server() as address:
        open_page(browser, address)
    expect(browser, lambda: "the server is away" in text(browser, "state"))
    assert browser.find_element(By.ID, "run").get_property("disabled")
    with server(int(address.rstrip("/").rpartition(":")[2])):
        expect(browser, lambda: text(browser, "state") == "golden", 40)
        draw_seven(browser)
        expect(browser, lambda: text(browser, "class") == "7")


def test_it_fits_a_phone(browser, address):
    browser.set_window_size(390, 844)
    try:
        open_page(browser, address)
        draw_seven(browser)
        expect(browser, lambda: text(browser, "class") == "7")
        time.sleep(0.1)
        wide, shown = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= shown
    finally:
        browser.set_window_size(1200, 1000)
