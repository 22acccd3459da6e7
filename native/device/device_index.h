// An index's rows in the GPU's memory, and search over them.
#ifndef FLATRANK_DEVICE_DEVICE_INDEX_H_
#define FLATRANK_DEVICE_DEVICE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/cancellation.h"
#include "cuda/library.h"
#include "index/flat_index.h"

namespace flatrank {

// Follows one FlatIndex. Blocks are copied when a search first meets them, and their later rows when one first sees
// those; what no snapshot refers to any more is given back at the next search.
class DeviceIndex {
 public:
  // How an index for the GPU is to be cut. Fewer rows than that are as quickly compared themselves; and each block is
  // scanned for itself, while the GPU reads one of the CPU's size in the time that it takes to start a scan.
  static constexpr BlockSizes kBlockSizes{1024, size_t{2} << 30};

  // `room` as in cuda::SearchCall: tests make it small.
  explicit DeviceIndex(const cuda::Library& library, size_t room = 0) : library_(library), room_(room) {}

  // flatrank::Search with the same answers to the bit. Queries whose lists of candidates would grow too long, and k
  // above cuda::kMostNearest, are answered on the CPU. Throws std::bad_alloc where the rows do not fit the GPU's
  // memory, Error(kDevice) where it fails.
  void Search(const Snapshot& snapshot, const CodeSpace& space, const float* queries, size_t nq, size_t k,
              const SearchOptions& options, const Cancellation& cancellation, float* distances, int32_t* labels);

 private:
  using BlockHandle = std::shared_ptr<cuda::DeviceBlock>;
  struct Copy {
    std::weak_ptr<const Block> block;
    BlockHandle device;
    size_t rows = 0, coded = 0;  // there so far
  };

  std::vector<BlockHandle> Follow(const Snapshot& snapshot, const CodeSpace& space, int max_threads,
                                  const Cancellation& cancellation);
  Copy& CopyOf(const Part& part, const CodeSpace& space);
  void CopyRows(const Part& part, const CodeSpace& space, const Cancellation& cancellation, Copy& copy);
  void CopyCodes(const Part& part, const CodeSpace& space, int max_threads, const Cancellation& cancellation,
                 Copy& copy);

  const cuda::Library& library_;
  const size_t room_;
  std::mutex mutex_;
  std::vector<Copy> copies_;
};

}  // namespace flatrank

#endif  // FLATRANK_DEVICE_DEVICE_INDEX_H_
