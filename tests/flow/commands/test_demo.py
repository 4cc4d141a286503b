"""The command as a process; the page in a browser is in ``demo/test_app_page.py``."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app

from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER


@contextmanager
def served(folder, *arguments):
    """Start `vitric demo` in a folder with the build of the accelerator's tests; yield its process and its address."""
    (folder / "build" / "tiny").mkdir(parents=True)
    (folder / "build" / "tiny" / "verilator").symlink_to(FOLDER)
    code = "from vitric.flow.start import main; main()"
    with one_at_a_time(FOLDER):
        process = subprocess.Popen(
            [sys.executable, "-c", code, "demo", "--project", "tiny", "--web-port", "0", *arguments], cwd=folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            yield process, re.match(r"open (http://\S+)", process.stdout.readline())[1]
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")


def about(address):
    page, mark, token = address.partition("?")
    with urllib.request.urlopen(f"{page}about{mark}{token}") as reply:
        return json.load(reply)


def until_ready(address):
    for _ in range(1200):
        if (said := about(address))["ready"]:
            return said
        assert not said.get("failed"), said
        time.sleep(0.25)
    raise TimeoutError


@pytest.mark.parametrize(("arguments", "message"), [
    (["--project", "no-such-one"], "--project must be one of"), (["--web-port", "70000"], "--web-port"),
    (["--host", "203.0.113.7"], "cannot listen at 203.0.113.7, --web-port 8060"),
])
def test_wrong_arguments(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["demo", *arguments])
    assert done.exit_code == 2 and message in " ".join(done.output.split())


def test_a_drawing_sent_to_the_server(tmp_path):
    """Without a browser: the drawing's class, golden's, from hardware in which every value is golden's."""
    from tests.flow.demo.test_drawing import FOUR, drawing
    from tests.flow.demo.test_service import png

    with served(tmp_path) as (_, address):
        assert until_ready(address)["project"] == "tiny"
        request = urllib.request.Request(f"{address}run?drawn", data=png(drawing(*FOUR)), method="POST")
        with urllib.request.urlopen(request) as reply:
            job = json.load(reply)["job"]
        for _ in range(600):
            with urllib.request.urlopen(f"{address}job/{job}") as reply:
                said = json.load(reply)
            if "answer" in said:
                break
            time.sleep(0.05)
    answer = said["answer"]
    assert answer["equal"] and (answer["compared"], answer["differ"]) == (746, 0)
    assert answer["best"][0]["label"] == answer["golden"]


def test_other_addresses_need_a_token(tmp_path):
    with served(tmp_path, "--host", "0.0.0.0") as (_, address):
        plain = address.partition("?")[0]
        assert re.search(r"\?token=[\w-]{20,}$", address)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            about(plain)
        assert until_ready(address)["project"] == "tiny"
