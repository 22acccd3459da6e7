#include "cuda/library.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "cuda/block.h"
#include "cuda/search.h"

namespace flatrank::cuda {

namespace {

void Say(Status* status, Outcome outcome, const char* message) {
  status->outcome = outcome;
  std::snprintf(status->message, sizeof(status->message), "%s", message);
}

// On the one GPU that is used, whatever else the thread works with. Where memory is short, what is kept for later goes
// first.
template <typename Body>
void OnDevice(Body body) {
  Check(cudaSetDevice(0));
  for (bool again = false;; again = true) {
    try {
      return body();
    } catch (const std::bad_alloc&) {
      FreeIdle();
      DeviceBlock::FreeIdle();
      if (again) throw;
    }
  }
}

// No exception leaves the library.
template <typename Body>
void Attempt(Status* status, Body body) {
  *status = Status();
  try {
    OnDevice(body);
  } catch (const Cancelled&) {
    Say(status, Outcome::kCancelled, "cancelled");
  } catch (const std::bad_alloc&) {
    Say(status, Outcome::kOutOfMemory, "the GPU's memory is full");
  } catch (const std::exception& error) {
    Say(status, Outcome::kFailed, error.what());
  }
}

void FindDevice(DeviceInfo* info, Status* status) {
  Attempt(status, [&] {
    cudaDeviceProp properties;
    Check(cudaGetDeviceProperties(&properties, 0));
    size_t free_bytes = 0, total_bytes = 0;
    Check(cudaMemGetInfo(&free_bytes, &total_bytes));
    std::snprintf(info->name, sizeof(info->name), "%s", properties.name);
    info->major = properties.major;
    info->minor = properties.minor;
    info->total_bytes = total_bytes;
    info->free_bytes = free_bytes;
  });
}

DeviceBlock* MakeBlock(size_t capacity, size_t dimension, size_t padded, Status* status) {
  DeviceBlock* block = nullptr;
  Attempt(status, [&] { block = new DeviceBlock(capacity, dimension, padded); });
  return block;
}

void FreeBlock(DeviceBlock* block) {
  cudaSetDevice(0);
  delete block;
}

void WriteRows(DeviceBlock* block, const RowsToWrite* rows, Status* status) {
  Attempt(status, [&] { block->Write(*rows); });
}

void WriteCodes(DeviceBlock* block, const CodesToWrite* codes, Status* status) {
  Attempt(status, [&] { block->Write(*codes); });
}

void SearchBlocks(const SearchCall* call, Status* status) {
  Attempt(status, [&] { Search(*call); });
}

constexpr Library kLibrary = {Library::kVersion, FindDevice, MakeBlock, FreeBlock, WriteRows, WriteCodes, SearchBlocks};

}  // namespace

}  // namespace flatrank::cuda

extern "C" __attribute__((visibility("default"))) const flatrank::cuda::Library* flatrank_cuda_library() {
  return &flatrank::cuda::kLibrary;
}
