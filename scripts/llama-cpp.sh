#!/usr/bin/env bash
# Builds llama.cpp's benchmark of decoding for this machine, from the source package of llama-cpp-python on PyPI, and
# converts SmolLM2 for it. Run scripts/peers.sh and scripts/real-models.sh first. Takes ten minutes of a core.
set -euo pipefail
peers="${1:-$HOME/.cache/essaim/peers}"
models="${ESSAIM_REAL_MODELS:-$HOME/.cache/essaim/models}"
version=0.3.36
target="$peers/llama.cpp"
if ! command -v cmake >/dev/null || ! command -v g++ >/dev/null; then
  (apt-get update && apt-get install -y --no-install-recommends cmake make g++) >/dev/null
fi
mkdir -p "$target"
if [ ! -d "$target/llama_cpp_python-$version" ]; then
  url=$(curl -fsSL "https://pypi.org/pypi/llama-cpp-python/$version/json" | "$peers/bin/python" -c '
import json, sys
print(next(file["url"] for file in json.load(sys.stdin)["urls"] if file["packagetype"] == "sdist"))')
  curl -fsSL "$url" | tar xz -C "$target"
fi
source="$target/llama_cpp_python-$version/vendor/llama.cpp"
cmake -S "$source" -B "$target" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF >/dev/null
cmake --build "$target" --target llama-batched-bench -j "$(nproc)" >/dev/null
for type in f16 bf16; do
  file="$models/SmolLM2-135M-Instruct.$type.gguf"
  [ -e "$file" ] || "$peers/bin/python" "$source/convert_hf_to_gguf.py" "$models/SmolLM2-135M-Instruct" \
    --outtype $type --outfile "$file" 2>/dev/null
done
