"""The tests in a browser run where Debian's chromium and chromedriver are installed; ``.ci/run`` sees to that."""

import shutil

__all__ = ["CHROMIUM", "DRIVER"]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

collect_ignore = [] if CHROMIUM and DRIVER else ["test_app_page.py"]
