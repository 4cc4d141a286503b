"""Results that were computed already: one small file per case, written whole, so an interrupted study goes on.

The name of the file is a digest of the case and of everything its result depends on: the text of the function that
computes it, the study's sources, the float model and the version of torch. After a change the old files are not found
any more.
"""

import hashlib
import inspect
import json
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vitric.golden.files import write_json

from ..inputs.sources import ROOT, source_digest
from .study import Case, Study

__all__ = ["Store"]


class Store:
    """The results of one study.

    Parameters
    ----------
    folder : Path
        Where the folders of all studies are.
    study : Study
    """

    def __init__(self, folder: Path, study: Study):
        self.folder, self.study = Path(folder) / study.name, study

    @cached_property
    def _sources(self) -> str:
        return source_digest(self.study.sources, inspect.getsource(self.study.run),
                             version("torch") if self.study.measured else "")

    def path(self, case: Case) -> Path:
        """Return where the result of a case is or will be."""
        models = [f"models/{case['config']}.safetensors"] if self.study.measured else []
        depends = [name for name in models if (ROOT / name).is_file()]
        key = json.dumps([self._sources, source_digest(depends), dict(case)], sort_keys=True)
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def get(self, case: Case) -> dict[str, Any] | None:
        """Return the result of a case, None if there is none or the file is damaged."""
        try:
            content = json.loads(self.path(case).read_text(encoding="utf-8"))
            return content["result"] if content["case"] == dict(case) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, case: Case, result: dict[str, Any]) -> None:
        """Keep the result of a case."""
        write_json(self.path(case), {"case": dict(case), "result": result})
