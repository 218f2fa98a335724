"""What is promised about time, cost and size, measured: `make bench`, docs/performance.md.

The application is the real template on the emulator, the portal the simulator, with the product's
own clocks scaled by one factor for everybody in a run.
"""

import local  # noqa: F401 -- it finds the layer
