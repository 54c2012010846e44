"""A deployment to make the record of."""

from __future__ import annotations

from governance.alerts.conftest import a_machine_that_goes_on, duty, open_duty, site

__all__ = ["a_machine_that_goes_on", "duty", "open_duty", "site"]
