"""Alert sinks: take alerts to a terminal, a file, a folder of pictures.

`config` is light; `pictures` and `comparison` beside it need OpenCV and are imported when that sink is created.
"""

from lfr_plugins.sinks.config import JsonlConfig, PicturesConfig

__all__ = ["JsonlConfig", "PicturesConfig"]
