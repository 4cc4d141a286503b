"""Results that were computed already: one small file per case, written whole, so an interrupted study goes on.

The name of the file is a digest of the case and of everything its result depends on: the text of the function that
computes it, the study's sources, the float model and the version of torch. After a change the old files are not found
any more.
"""

import hashlib
import inspect
import json
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vitric.golden.files import write_json
from vitric.golden.spec.vit import VIT_CONFIGS

from ..inputs.sources import source_digest
from ..project.file import config_names
from ..project.project import open_project
from .study import Case, Study

__all__ = ["Store", "network"]


@cache
def network(config: str) -> list[str]:
    """Return what the results of a network depend on beside code: what its project's file says, and the weights."""
    if config in VIT_CONFIGS and config not in config_names():
        return []
    project = open_project(config)
    return [project.settings.model_dump_json(), project.weights_digest if project.weights else ""]


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
        key = json.dumps([self._sources, network(case["config"]), dict(case)], sort_keys=True)
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
