#!/usr/bin/env bash
# Runs the tests of the matrix products on a machine that has no NEON: compiled for 64-bit ARM, run by qemu's emulation.
# It compiles the files of crates/ops that need no tensor library: scripts/neon. It says nothing about speed.
#
# Needs rustup and, where it is to install what is missing, root on Debian.
set -euo pipefail
cd "$(dirname "$0")/neon"

target=aarch64-unknown-linux-gnu
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/essaim/target}-neon"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
if ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v qemu-aarch64 >/dev/null; then
  (apt-get update && apt-get install -y --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user) >/dev/null
fi
rustup target list --installed | grep -q $target || rustup target add $target
cargo test --locked --lib --target $target
