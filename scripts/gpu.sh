#!/bin/bash
# What a machine with an NVIDIA GPU is to show: builds the native tests and the bench with nvcc, runs the tests on the GPU and under
# compute-sanitizer, and measures search beside torch. Needs CMake, nvcc and a C++20 compiler, for the peer also python3 with
# torch; neither Node.js nor a network. Everything goes to the folder $OUT (default gpu-results).
#   bash scripts/gpu.sh [tests|sanitizers|bench] [ROWS DIMENSION]...
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-gpu-results}
what=${1:-all}
shift || true
mkdir -p "$out"

FLATRANK_CUDA=on cmake -S . -B build-gpu -DFLATRANK_TESTS=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES=native \
  > "$out/build.log"
cmake --build build-gpu --parallel "$(nproc)" >> "$out/build.log" 2>&1 || { tail -50 "$out/build.log"; exit 1; }
nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv | tee "$out/card.csv"

if [[ $what == all || $what == tests ]]; then
  build-gpu/flatrank_tests device 2>&1 | tee "$out/tests.log"
fi
if [[ $what == all || $what == sanitizers ]]; then
  for tool in memcheck racecheck initcheck synccheck; do
    compute-sanitizer --tool "$tool" --error-exitcode 9 build-gpu/flatrank_tests device_search > "$out/$tool.log" 2>&1 ||
      echo "$tool failed: $out/$tool.log"
    tail -3 "$out/$tool.log"
  done
fi
if [[ $what == all || $what == bench ]]; then
  [[ $# -gt 0 ]] || set -- 100000 384 100000 768 1000000 384 1000000 768 10000000 384
  while [[ $# -gt 1 ]]; do
    build-gpu/flatrank_gpu_bench "$1" "$2" | tee -a "$out/bench.jsonl"
    python3 bench/peers/gpu_search_peer.py "$1" "$2" | tee -a "$out/bench.jsonl" || true
    shift 2
  done
fi
