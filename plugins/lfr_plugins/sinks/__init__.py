"""Alert sinks: take alerts to a terminal, a file, a folder of pictures, a server.

`config` is light; `pictures` and `comparison` beside it need OpenCV, `webhook` needs httpx: each is imported when its
sink is created.
"""

from lfr_plugins.sinks.config import JsonlConfig, PicturesConfig, WebhookConfig

__all__ = ["JsonlConfig", "PicturesConfig", "WebhookConfig"]
