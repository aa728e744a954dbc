"""A chapter's setup cells, run in an IPython shell: what answers and checks start from, before any code of a student's."""

from __future__ import annotations

import sys
from types import ModuleType

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from grader.engine import state


class Setup:
    """The names that the setup cells left, the module they are in, and the shell that ran them."""

    def __init__(self, cells: list[tuple[str, str]]) -> None:
        self.module = ModuleType("__main__")
        sys.modules["__main__"] = self.module  # dataclasses and pickle look a class's module up
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.xmode = "Minimal"  # the traceback of a deep recursion takes minutes to write
        config.InteractiveShell.colors = "NoColor"
        config.InteractiveShell.banner1 = ""
        self.shell = InteractiveShell.instance(config=config, user_module=self.module, user_ns=self.module.__dict__)
        for name in ("exit", "quit"):
            self.module.__dict__.pop(name, None)
        for identity, source in cells:
            state.seed(identity)
            result = self.shell.run_cell(source, store_history=False)
            if not result.success:
                raise RuntimeError(f"setup cell '{identity}' fails") from (result.error_before_exec or result.error_in_exec)
        self.names = dict(self.module.__dict__)

    def restore(self) -> dict[str, object]:
        """Forget every name but those of the setup cells; return the module's namespace."""
        namespace = self.module.__dict__
        namespace.clear()
        namespace.update(self.names)
        return namespace
