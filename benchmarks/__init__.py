"""Measurements of the promises about time, cost and size: `make bench`, docs/performance.md.

The application is the real template on the emulator, the portal is the simulator, and the product's
own times are scaled by one factor for all participants of a run.
"""

import local  # noqa: F401 -- it finds the layer
