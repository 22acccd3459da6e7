#ifndef FLATRANK_CORE_CRC32_H_
#define FLATRANK_CORE_CRC32_H_

#include <cstddef>
#include <cstdint>

namespace flatrank {

// The CRC-32 of zlib and gzip (polynomial 0xedb88320, reflected), eight bytes a step (Kounavis and Berry 2005).
uint32_t Crc32(const void* data, size_t bytes);

}  // namespace flatrank

#endif  // FLATRANK_CORE_CRC32_H_
