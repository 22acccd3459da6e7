#include "cuda/block.h"

namespace flatrank::cuda {

void DeviceBlock::Write(const RowsToWrite& rows) {
  std::lock_guard<std::mutex> lock(mutex_);
  stream_.ToDevice(values.data() + rows.begin * dimension, rows.values, (rows.end - rows.begin) * dimension);
  stream_.Wait();
}

void DeviceBlock::Write(const CodesToWrite& rows) {
  std::lock_guard<std::mutex> lock(mutex_);
  const size_t count = rows.end - rows.begin;
  stream_.ToDevice(codes.data() + rows.begin * padded, rows.codes, count * padded);
  stream_.ToDevice(terms.data() + rows.begin, rows.terms, count);
  stream_.Wait();
}

}  // namespace flatrank::cuda
