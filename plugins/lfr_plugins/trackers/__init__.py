"""Trackers: say who is who across frames.

`config` is light; the modules beside it need OpenCV and SciPy and are imported when a tracker is created.
"""

from lfr_plugins.trackers.config import PassageConfig

__all__ = ["PassageConfig"]
