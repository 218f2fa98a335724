"""The local default: the real template on emulated AWS, and a portal simulator.

It reads the ledger and the bucket with the application's own code, directly from the layer.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "layers" / "shared"))
