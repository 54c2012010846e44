"""Cameras: video files, network streams and devices through FFmpeg, and folders of stills."""
