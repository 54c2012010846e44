"""What tests of actors and plugins need: time that they pass themselves, a lane without threads, one actor on its own.

```python
async with run_actor(DetectorHost(...)) as run:
    await run.send(frame)
    faces = await run.next(Faces)
```
"""

from lfr_kernel.testing.clock import VirtualClock
from lfr_kernel.testing.lane import InlineLane
from lfr_kernel.testing.running import ActorRun, run_actor

__all__ = ["ActorRun", "InlineLane", "VirtualClock", "run_actor"]
