#!/usr/bin/env bash
# Fuzzes every door that strangers reach, from the kept corpus, and keeps what the corpus gains.
# Usage: scripts/fuzz.sh [RUNS [TARGET...]]    RUNS: executions of each target, 2,500,000 unless told.
# Needs the stable toolchain and a C++ compiler; the coverage counters are LLVM's, switched on by flags.
# The code under test has no `unsafe`, so no address sanitizer is used; overflow and debug checks are on.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

runs="${1:-2500000}"
targets=("${@:2}")
[ "${#targets[@]}" -gt 0 ] || targets=(records desk proofs grades ledger)
host="$(rustc -vV | sed -n 's/^host: //p')"
out="${ESSAIM_FUZZ_DIR:-target}"
counters="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Ccodegen-units=1"
for part in inline-8bit-counters pc-table trace-compares; do
  counters="$counters -Cllvm-args=-sanitizer-coverage-$part"
done

# A named target keeps the flags away from build scripts.
export CARGO_TARGET_DIR="$out"
RUSTFLAGS="$counters --cfg fuzzing" cargo build --release --locked --quiet --target "$host" \
  --bin records --bin desk --bin proofs --bin grades --bin ledger
cargo build --quiet --locked --bin corpus

for name in "${targets[@]}"; do
  work="$out/corpus/$name" small="$out/small/$name" crashes="$out/crashes/$name/"
  rm -rf "$work" "$small"; mkdir -p "$work" "$small" "$crashes"
  "$out/debug/corpus" unpack "$name" "corpus/$name.hex" "$work"
  log="$out/$name.log"
  "$out/$host/release/$name" "$work" -runs="$runs" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$crashes" -print_final_stats=1 >"$log" 2>&1 || { tail -40 "$log"; echo "$name: failed, input in $crashes"; exit 1; }
  "$out/$host/release/$name" -merge=1 -max_len=4096 "$small" "$work" >/dev/null 2>&1
  "$out/debug/corpus" pack "$name" "corpus/$name.hex" "$small"
  cov="$(grep -oE 'cov: [0-9]+' "$log" | tail -1)"
  count="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  rate="$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")"
  echo "$name: $count executions, $rate per second, $cov edges, $(wc -l <"corpus/$name.hex") inputs kept, no crash"
done
