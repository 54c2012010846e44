"""The stages: one file each, with the contract of its plugins and the actor that hosts them.

The hosts do what plugins should not have to: lanes, concurrency with results back in order, gap markers, timing,
counting, back-pressure, restarts, reconnecting, erasing. `desk` and `record` have no plugins: what an alert is, and
how people are counted, is not swappable.
"""
