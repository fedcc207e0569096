"""Modelyard's server over the same model, with its defaults unless told otherwise.

python ours.py MODEL PORT ['{"threads": 1, "workers": 2}']
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from modelyard.serving import ServingSettings, serve

if __name__ == "__main__":
    chosen = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    serve({"reviews": Path(sys.argv[1])}, ServingSettings(port=int(sys.argv[2]), **chosen))
