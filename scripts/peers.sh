#!/usr/bin/env bash
# Makes the Python environment of the benchmarks' peers and of the tests that compare with transformers.
# Usage: scripts/peers.sh            (about 6 GB in ~/.cache/essaim/peers)
set -euo pipefail
cd "$(dirname "$0")/.."
target="${1:-$HOME/.cache/essaim/peers}"
[ -x "$target/bin/python" ] || python3 -m venv "$target"
"$target/bin/pip" install --quiet -r bench/peers/requirements.txt
echo "export ESSAIM_PYTHON=$target/bin/python"
