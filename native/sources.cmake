# The sources of the addon, listed once: CMakeLists.txt includes this file, binding.gyp reads it through sources.mjs.
set(FLATRANK_CORE_SOURCES
  native/core/aligned_array.cpp
  native/core/cpu.cpp
  native/core/crc32.cpp
  native/core/mapped_file.cpp
  native/core/thread_pool.cpp
  native/kernels/kernels.cpp
  native/kernels/kernels_scalar.cpp
  native/kernels/codes_scalar.cpp
  native/device/device_index.cpp
  native/device/device_library.cpp
  native/index/block.cpp
  native/index/block_codes.cpp
  native/index/candidates.cpp
  native/index/concatenation.cpp
  native/index/entry.cpp
  native/index/flat_index.cpp
  native/index/fp32_scan.cpp
  native/index/int8_scan.cpp
  native/index/prepared.cpp
  native/index/refine.cpp
  native/index/row_checks.cpp
  native/index/remove.cpp
  native/index/search.cpp
  native/pool/pooling.cpp
  native/merge/merge.cpp
  native/optimizer/adamw_scalar.cpp
  native/optimizer/dropout.cpp
  native/optimizer/optimizer.cpp
)
set(FLATRANK_AVX2_SOURCES
  native/kernels/kernels_avx2.cpp
  native/kernels/codes_avx2.cpp
  native/optimizer/adamw_avx2.cpp
)
set(FLATRANK_AVX512_SOURCES native/kernels/kernels_avx512.cpp native/optimizer/adamw_avx512.cpp)
set(FLATRANK_VNNI_SOURCES native/kernels/codes_vnni.cpp)
set(FLATRANK_NEON_SOURCES native/kernels/kernels_neon.cpp)
set(FLATRANK_DOTPROD_SOURCES native/kernels/codes_neon.cpp)
set(FLATRANK_CUDA_SOURCES native/cuda/block.cu native/cuda/library.cu native/cuda/search.cu)
set(FLATRANK_ADDON_SOURCES
  native/addon/addon.cpp
  native/addon/cancellation_wrap.cpp
  native/addon/environment.cpp
  native/addon/file_lock.cpp
  native/addon/flat_index_wrap.cpp
  native/addon/operations.cpp
  native/addon/search_together.cpp
  native/addon/training.cpp
)
