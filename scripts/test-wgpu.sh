#!/usr/bin/env bash
# Runs the tests of cards on lavapipe, which is Vulkan in software: operations, gradients, generation, verdicts and lies,
# and the first steps of `essaim run`, made on the CPU and made again on the device. It says nothing about speed.
# On a machine with a card:  ESSAIM_TEST_DEVICE=wgpu:0 scripts/test-wgpu.sh
#
# Building the back end from nothing takes over 1,460 s of CPU time, so .ci/run does not call it.
# Needs rustup and, where it is to install what is missing, root on Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/essaim/target}-wgpu"
# The OpenGL driver, which is looked at too, complains without it.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
export ESSAIM_TEST_DEVICE="${ESSAIM_TEST_DEVICE:-wgpu:0}"
if ! ldconfig -p | grep -q libvulkan.so.1 || ! compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null; then
  (apt-get update && apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1) >/dev/null
fi
# The many crates of the back end are built lightly: their own speed is not what is tested.
tests=(cargo test --locked --config 'profile.dev.package."*".opt-level=1' --features node/wgpu -p ops -p verify -p node)
"${tests[@]}" --test device -- --nocapture
# Every lie of the validator's own tests, with the validator on the device.
"${tests[@]}" --test it -- candidates:: tampered:: wrong_inputs::
