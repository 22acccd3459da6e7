#!/bin/bash
# Models on a machine with an NVIDIA GPU, without Node.js or a network there: unpacks the pieces of scripts/gpu-pack.mjs and runs
# bench/gpu/models.mjs with them. CUDA and cuDNN are those of python3's packages, else the system's; sentence-transformers is
# the peer where python3 has it. Everything goes to the folder $OUT (default gpu-results).
#   bash scripts/gpu-models.sh PIECES [DEVICE=cuda]
set -euo pipefail
pieces=$(realpath "$1")
device=${2:-cuda}
cd "$(dirname "$0")/.."
out=$(realpath -m "${OUT:-gpu-results}")
place=build-gpu/models
mkdir -p "$out" "$place"
cat "$pieces"/piece-* | tar xJ -C "$place"
cp -r bench models package.json "$place"
cd "$place"
libraries=$(python3 -c 'import glob, site; print(":".join(g for s in site.getsitepackages() for g in glob.glob(s + "/nvidia/*/lib")))' || true)
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} FLATRANK_PYTHON=python3
# In 32 bits as torch does it, and as onnxruntime does it unless it is told otherwise.
NVIDIA_TF32_OVERRIDE=0 ./node bench/gpu/models.mjs "$device" 2>&1 | tee "$out/models.log"
if [[ $device == cuda ]]; then ./node bench/gpu/models.mjs "$device" 2>&1 | tee "$out/models-tf32.log"; fi
