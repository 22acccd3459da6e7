#include "core/crc32.h"

#include <array>
#include <cstring>

namespace flatrank {

namespace {

// tables[j][b]: what byte b does to the sum when j bytes follow it.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t sum = b;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xedb88320u : 0);
    tables[0][b] = sum;
  }
  for (size_t j = 1; j < tables.size(); ++j)
    for (size_t b = 0; b < 256; ++b) tables[j][b] = (tables[j - 1][b] >> 8) ^ tables[0][tables[j - 1][b] & 0xff];
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t Crc32(const void* data, size_t bytes) {
  const auto* at = static_cast<const uint8_t*>(data);
  uint32_t sum = ~uint32_t{0};
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= sum;
    sum = 0;
    for (size_t j = 0; j < 8; ++j) sum ^= kTables[7 - j][(word >> (8 * j)) & 0xff];
  }
  for (; bytes > 0; --bytes, ++at) sum = (sum >> 8) ^ kTables[0][(sum ^ *at) & 0xff];
  return ~sum;
}

}  // namespace flatrank
