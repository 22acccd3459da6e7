// What the library flatrank_cuda gives to whoever loads it: plain structures and functions that throw nothing, so that
// the two may be built with different C++ libraries.
#ifndef FLATRANK_CUDA_LIBRARY_H_
#define FLATRANK_CUDA_LIBRARY_H_

#include <cstddef>
#include <cstdint>

#include "index/code_rule.h"
#include "index/metric.h"
#include "kernels/codes.h"

namespace flatrank::cuda {

enum class Outcome : int32_t { kDone, kOutOfMemory, kCancelled, kFailed };

// How a call ended; `message` says why where it did not go well.
struct Status {
  Outcome outcome = Outcome::kDone;
  char message[252] = {};
};

struct DeviceInfo {
  char name[256];
  int32_t major, minor;  // compute capability
  uint64_t total_bytes;
  uint64_t free_bytes;
};

// Rows of an index in the GPU's memory, as a block in the CPU's. Rows that have been written do not change.
struct DeviceBlock;

// Rows [begin, end) of a block on their way to the GPU. `fill` writes the values (to - from, dimension) of some of them
// to memory that the GPU reads, which is on its way with those before meanwhile; with false the rest stays away.
struct RowsToWrite {
  size_t begin, end;
  bool (*fill)(void* context, size_t from, size_t to, float* values);
  void* context;
};

// The same of their codes, row by row, of signed bytes (to - from, padded), and their terms.
struct CodesToWrite {
  size_t begin, end;
  bool (*fill)(void* context, size_t from, size_t to, int8_t* codes, RowTerms* terms);
  void* context;
};

// What one search sees of a block, and its queries around that block's centre.
struct SearchPart {
  const DeviceBlock* block;
  size_t first;  // label of its row 0
  size_t rows;
  size_t coded;             // leading rows whose codes are there
  const int8_t* codes;      // (nq, padded), of the queries
  const QueryTerms* terms;  // (nq)
};

struct SearchCall {
  Metric metric;
  size_t dimension, padded;
  const SearchPart* parts;
  size_t part_count;
  const float* queries;       // (nq, dimension)
  size_t nq, k;               // k at most kMostNearest
  size_t room;                // of a query's list of candidates, at least 16 k; 0: as much as suits
  const uint64_t* selection;  // words of a bitmap of labels, or null
  size_t selection_words;
  bool (*cancelled)(const void* token);
  const void* token;

  // Results, as of flatrank::Search. Those of a query with undecided[j] = 1 are not there: so many rows came into
  // question that it is to be answered elsewhere.
  float* distances;    // (nq, k)
  int32_t* labels;     // (nq, k)
  uint8_t* undecided;  // (nq)
};

inline constexpr size_t kMostNearest = 1024;

struct Library {
  // Another number: built from another version of this file.
  static constexpr uint64_t kVersion =
      2 + (sizeof(SearchCall) << 8) + (sizeof(SearchPart) << 20) + (sizeof(QueryTerms) << 32) + (sizeof(Status) << 44);
  static constexpr const char* kEntry = "flatrank_cuda_library";

  uint64_t version;
  // The GPU that is used: the first one that CUDA_VISIBLE_DEVICES leaves. Fails where there is none, or no driver.
  void (*find_device)(DeviceInfo* info, Status* status);
  // Room for `capacity` rows; null where it cannot be had.
  DeviceBlock* (*make_block)(size_t capacity, size_t dimension, size_t padded, Status* status);
  void (*free_block)(DeviceBlock* block);
  // These return when everything has arrived; rows before those that were last asked for have in any case.
  void (*write_rows)(DeviceBlock* block, const RowsToWrite* rows, Status* status);
  void (*write_codes)(DeviceBlock* block, const CodesToWrite* codes, Status* status);
  // Searches of several threads run beside each other, and beside writing to rows that they do not see.
  void (*search)(const SearchCall* call, Status* status);
};

}  // namespace flatrank::cuda

#endif  // FLATRANK_CUDA_LIBRARY_H_
