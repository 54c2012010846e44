"""The commands of alerts as people call them, at the vault of a deployment that is open."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from governance.deployment.support import Letters

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from calling import Result
    from governance.alerts.support import Duty

INHERITED = ("LFR_AS", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "LINES")


class Terminal:
    """Calls `lfr-kernel alerts` on the vault of a deployment. Its pictures are letters."""

    def __init__(self, duty: Duty, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
        self.duty = duty
        self._lfr = lfr
        for name in INHERITED:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("LFR_VAULT", str(duty.site.vault.folder))
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr("lfr_kernel.cli.asking.read_clocks", duty.site.clocks)
        plugins = SimpleNamespace(get=lambda _stage, _name: SimpleNamespace(stills=Letters))
        monkeypatch.setattr("lfr_kernel.cli.alerts.registry_of", lambda _: plugins)

    def call(self, *arguments: object) -> Result:
        """Call one command."""
        return self._lfr("alerts", *arguments)

    def ok(self, *arguments: object, by: str | None = "dee") -> str:
        """Call one as somebody, and return what it prints."""
        result = self.call(*arguments, *(("--as", by) if by else ()))
        assert (result.code, result.err) == (0, ""), result
        return result.out

    def json(self, *arguments: object, by: str | None = "dee") -> Any:
        """Likewise, as JSON."""
        return json.loads(self.ok(*arguments, "--json", by=by))

    def refused(self, *arguments: object, by: str | None = "dee") -> str:
        """Call one that is refused, and return the error on one line."""
        result = self.call(*arguments, *(("--as", by) if by else ()))
        assert (result.code, result.out) == (2, ""), result
        assert "Traceback" not in result.err
        return " ".join(result.err.split())
