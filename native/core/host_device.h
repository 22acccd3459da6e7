// Functions that the GPU's kernels call as well.
#ifndef FLATRANK_CORE_HOST_DEVICE_H_
#define FLATRANK_CORE_HOST_DEVICE_H_

#ifdef __CUDACC__
#define FLATRANK_HOST_DEVICE __host__ __device__
#else
#define FLATRANK_HOST_DEVICE
#endif

#endif  // FLATRANK_CORE_HOST_DEVICE_H_
