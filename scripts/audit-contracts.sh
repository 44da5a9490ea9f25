#!/usr/bin/env bash
# Audits the contracts: static analysis by slither, stories by forge, properties by halmos, with the pinned compiler.
# Usage: scripts/audit-contracts.sh [slither|forge|halmos|mutants]...     all four unless told; five and a half minutes on 2 cores.
# slither: every finding must be explained in contracts/AUDIT.md, and every explained one still be found.
# forge:   the stories and random histories of contracts/test.
# halmos:  the properties `check_*` of contracts/test, for all values within halmos's bounds.
# mutants: the seeded bugs that contracts/audit/mutants.tsv lists must break a property, so the properties can fail.
# Needs node, npm and python3. Tools and builds go to ${XDG_CACHE_HOME:-~/.cache}/essaim/contracts/audit (0.6 GB).
set -euo pipefail
contracts="$(cd "$(dirname "$0")/../contracts" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/essaim/contracts/audit"
work="$cache/work" tools="$cache/venv/bin"
parts=("$@")
[ "${#parts[@]}" -gt 0 ] || parts=(slither forge halmos mutants)
for part in "${parts[@]}"; do
  case "$part" in slither | forge | halmos | mutants) ;; *) echo "unknown part $part" >&2; exit 2 ;; esac
done
wants() { case " ${parts[*]} " in *" $1 "*) true ;; *) false ;; esac; }

# Installs the tools, unless the same ones are there.
prepare() {
  mkdir -p "$work"
  if ! cmp -s "$contracts/audit/requirements.txt" "$cache/requirements.txt"; then
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$tools/pip" install --quiet --no-deps -r "$contracts/audit/requirements.txt"
    cp "$contracts/audit/requirements.txt" "$cache/requirements.txt"
  fi
  if ! cmp -s "$contracts/package-lock.json" "$cache/package-lock.json"; then
    cp "$contracts/package.json" "$contracts/package-lock.json" "$work/"
    (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --silent)
    cp "$contracts/package-lock.json" "$cache/package-lock.json"
  fi
  forge="$(echo "$work"/node_modules/@foundry-rs/forge-*/bin)"
  export PATH="$forge:$tools:$PATH" FOUNDRY_DISABLE_NIGHTLY_WARNING=1
}

# Copies the sources, so that nothing is built inside the repository.
sources() {
  rm -rf "$work/src" "$work/test"
  cp -r "$contracts/src" "$contracts/test" "$contracts/foundry.toml" "$contracts/solc.cjs" "$work/"
}

# slither must see the packages inside the root; a line with ERROR means that it understood less than it should.
run_slither() {
  rm -rf "$work/out" "$cache/slither.json"
  (cd "$work" && forge build --build-info --quiet src)
  (cd "$work" && slither . --ignore-compile --filter-paths 'node_modules|test/' --json "$cache/slither.json" \
    >"$cache/slither.log" 2>&1) || true
  if grep -E 'ERROR|Missing inheritance' "$cache/slither.log" || [ ! -s "$cache/slither.json" ]; then
    tail -5 "$cache/slither.log"
    echo "slither: did not understand everything"
    exit 1
  fi
  (cd "$contracts" && python3 audit/compare.py "$cache/slither.json" AUDIT.md)
}

run_forge() {
  (cd "$work" && forge test --offline)
}

# Everything, or one property of one contract.
run_halmos() {
  (cd "$work" && halmos --match-contract "${1:-Properties\$}" --function "${2:-check_}" --loop 4 --no-status \
    --solver-timeout-assertion 120s 2>&1) >"$cache/halmos.log" || true
  grep -E 'PASS|FAIL|TIMEOUT|ERROR|Error|result' "$cache/halmos.log" || true
}

all_hold() {
  run_halmos
  if ! grep -q 'PASS' "$cache/halmos.log" || grep -qE 'FAIL|TIMEOUT|ERROR|Error' "$cache/halmos.log"; then
    echo "halmos: not every property holds; see $cache/halmos.log"
    exit 1
  fi
}

# Each line of mutants.tsv: a seeded bug, and the property that must fall.
run_mutants() {
  local missed=0 name contract property
  while IFS=$'\t' read -r name contract property; do
    sources
    rm -rf "$work/test/story" "$work/test/EssaimToken.t.sol"
    patch --quiet --strip=1 --directory="$work" <"$contracts/mutants/$name.patch"
    run_halmos "^$contract\$" "$property" >/dev/null
    if grep -q 'Counterexample' "$cache/halmos.log" && grep -q "FAIL.*$property" "$cache/halmos.log"; then
      echo "$name: counterexample to $property"
    else
      tail -5 "$cache/halmos.log"
      echo "$name: MISSED by $property"
      missed=1
    fi
  done < <(grep -v '^#' "$contracts/audit/mutants.tsv")
  sources
  return "$missed"
}

prepare
sources
if wants slither; then run_slither; fi
if wants forge; then run_forge; fi
if wants halmos; then all_hold; fi
if wants mutants; then run_mutants; fi
echo "audit: ${parts[*]}: done"
