// What a store asks of the index: rows of several indexes searched as one, rows checked when they are read, and what
// was worked out about them kept in a file.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "check.h"
#include "core/crc32.h"
#include "core/error.h"
#include "data.h"
#include "index/concatenation.h"
#include "index/prepared.h"
#include "reference.h"

namespace flatrank::test {

namespace {

void WriteFile(const std::string& path, const void* data, size_t bytes) {
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
}

// The CRC-32 of each of n rows.
std::vector<uint32_t> Checksums(const void* rows, size_t n, size_t row_bytes) {
  std::vector<uint32_t> sums(n);
  for (size_t i = 0; i < n; ++i) sums[i] = Crc32(static_cast<const std::byte*>(rows) + i * row_bytes, row_bytes);
  return sums;
}

Found SearchAll(const Concatenation& all, const Selection* selection, const CodeSpace& space, const Vectors& q,
                size_t k) {
  const size_t nq = q.size() / space.dimension;
  Found found{std::vector<float>(nq * k), std::vector<int32_t>(nq * k)};
  Search(all.snapshot(), space, q.data(), nq, k, {selection, 2}, kNever, found.distances.data(), found.labels.data());
  return found;
}

}  // namespace

TEST(Crc32IsThatOfZlib) {
  CHECK(Crc32("123456789", 9) == 0xcbf43926u);
  CHECK(Crc32("", 0) == 0);
  const std::string text = "The quick brown fox jumps over the lazy dog";
  CHECK(Crc32(text.data(), text.size()) == 0x414fa339u);
}

TEST(SeveralIndexesAreSearchedAsOne) {
  constexpr size_t d = 48, k = 20;
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    const Vectors x = Gaussian(2000, d, 1), q = Gaussian(5, d, 2);
    // First rows of indexes that have more; sizes that do not end with a byte.
    const size_t sizes[] = {3, 700, 0, 61, 1000};
    std::vector<std::unique_ptr<FlatIndex>> indexes;
    Concatenation plain, chosen;
    Vectors rows;
    std::vector<uint64_t> words(32);
    size_t first = 0;
    for (const size_t size : sizes) {
      indexes.push_back(std::make_unique<TestIndex>(d, metric, true));
      const Vectors more(x.begin() + static_cast<std::ptrdiff_t>(first * d),
                         x.begin() + static_cast<std::ptrdiff_t>((first + size + 40) * d));
      Fill(*indexes.back(), more);
      rows.insert(rows.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(size * d));
      std::vector<uint8_t> bitmap((size + 7) / 8, 0xff);  // bits behind the last row mean nothing
      for (size_t i = 0; i < size; ++i)
        if ((first + i) % 7 < 5) bitmap[i / 8] &= static_cast<uint8_t>(~(1u << (i % 8)));
      const bool all = size == 700;
      for (size_t i = 0; i < size; ++i)
        if (all || (first + i) % 7 >= 5) words[(first + i) / 64] |= uint64_t{1} << ((first + i) % 64);
      plain.Append(indexes.back()->TakeSnapshot(), size, nullptr);
      chosen.Append(indexes.back()->TakeSnapshot(), size, all ? nullptr : bitmap.data());
      first += size;
    }
    CHECK(!plain.TakeSelection());
    CHECK(SearchAll(plain, nullptr, indexes[0]->space(), q, k) == BruteForce(rows, q, d, k, metric));
    const auto selection = chosen.TakeSelection();
    const Selection expected(words);
    CHECK(selection->Count(0, 4096) == expected.Count(0, first));
    CHECK(SearchAll(chosen, &*selection, indexes[0]->space(), q, k) == BruteForce(rows, q, d, k, metric, &expected));
  }
}

TEST(PreparedRowsAreSearchedAsTheOthersAndChecked) {
  constexpr size_t d = 64, n = 1003, k = 10;
  const Vectors x = Gaussian(n, d, 3), q = Gaussian(4, d, 4);
  const std::string rows = "store_test.rows", codes = "store_test.codes";
  WriteFile(rows, x.data(), x.size() * sizeof(float));
  const std::vector<uint32_t> sums = Checksums(x.data(), n, d * sizeof(float));
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    TestIndex made(d, metric, true);
    made.StageMapped(rows, 0, n);
    made.Commit(2, kNever);
    const Part part = made.TakeSnapshot().parts[0];
    std::vector<std::byte> bytes(PreparedBytes(part, made.space()));
    CHECK(!bytes.empty());
    WritePrepared(part, made.space(), bytes.data());
    WriteFile(codes, bytes.data(), bytes.size());

    TestIndex index(d, metric, true);
    index.StageMapped(rows, 0, n, codes);
    index.ExpectChecksums(sums);
    index.Commit(2, kNever);
    CHECK(index.TakeSnapshot().parts[0].coded == part.coded);
    CHECK(SearchIndex(index, q.data(), 4, k, 2) == BruteForce(x, q, d, k, metric));

    // The nearest row with another checksum than it has.
    const auto nearest = static_cast<size_t>(BruteForce(x, q, d, 1, metric).labels[0]);
    std::vector<uint32_t> wrong = sums;
    wrong[nearest] ^= 1;
    TestIndex damaged(d, metric, true);
    damaged.StageMapped(rows, 0, n, codes);
    damaged.ExpectChecksums(wrong);
    damaged.Commit(2, kNever);
    CHECK_THROWS(kBadFile, SearchIndex(damaged, q.data(), 1, k, 2));

    // For other rows, cut short, and no such file at all.
    TestIndex other(d, metric, true);
    CHECK_THROWS(kBadFile, other.StageMapped(rows, 0, n - 1, codes));
    WriteFile(codes, bytes.data(), bytes.size() - 1);
    CHECK_THROWS(kBadFile, other.StageMapped(rows, 0, n, codes));
    WriteFile(codes, bytes.data(), 40);
    CHECK_THROWS(kBadFile, other.StageMapped(rows, 0, n, codes));
    WriteFile(codes, x.data(), 4096);
    CHECK_THROWS(kBadFile, other.StageMapped(rows, 0, n, codes));
    CHECK(other.ntotal() == 0);

    // Of another version: worked out anew.
    bytes[8] ^= std::byte{0x40};
    WriteFile(codes, bytes.data(), bytes.size());
    other.StageMapped(rows, 0, n, codes);
    other.Commit(2, kNever);
    CHECK(SearchIndex(other, q.data(), 4, k, 2) == BruteForce(x, q, d, k, metric));
  }
  std::remove(rows.c_str());
  std::remove(codes.c_str());
}

TEST(RowsThatLieApartAreSearchedByTheirOwnCodes) {
  constexpr size_t n = 1003, k = 10;
  const std::string rows = "store_test.rows", codes = "store_test.codes", code_rows = "store_test.coderows";
  for (const size_t d : {48, 96, 100}) {
    const Vectors x = Gaussian(n, d, 5), q = Gaussian(20, d, 6);
    WriteFile(rows, x.data(), x.size() * sizeof(float));
    const std::vector<uint32_t> sums = Checksums(x.data(), n, d * sizeof(float));
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      TestIndex made(d, metric, true);
      made.StageMapped(rows, 0, n);
      made.Commit(2, kNever);
      const Part part = made.TakeSnapshot().parts[0];
      std::vector<std::byte> bytes(PreparedBytes(part, made.space())), apart(CodeRowsBytes(part, made.space()));
      WritePrepared(part, made.space(), bytes.data());
      WriteCodeRows(part, made.space(), apart.data());
      WriteFile(codes, bytes.data(), bytes.size());
      WriteFile(code_rows, apart.data(), apart.size());
      const std::vector<uint32_t> code_sums = Checksums(apart.data(), part.coded, made.space().row_bytes());

      const auto open = [&](std::vector<uint32_t> of_codes) {
        auto index = std::make_unique<TestIndex>(d, metric, true);
        index->StageMapped(rows, 0, n, codes, code_rows);
        index->ExpectChecksums(sums, std::move(of_codes));
        index->Commit(2, kNever);
        return index;
      };
      const auto index = open(code_sums);
      const Part opened = index->TakeSnapshot().parts[0];
      CHECK(opened.coded > 0 && opened.block->codes->by_row());
      // From so many rows that they are scanned down to fewer than are asked for, the last ones without codes.
      for (const size_t stride : {2, 5, 9, 40, 167}) {
        std::vector<uint64_t> words(n / 64 + 1);
        for (size_t i = stride - 1; i < n; i += stride) words[i / 64] |= uint64_t{1} << (i % 64);
        words[(n - 1) / 64] |= uint64_t{1} << ((n - 1) % 64);
        const Selection selection(words);
        for (const size_t nq : {1, 3, 20})
          for (const int threads : {1, 2}) {
            Found found{std::vector<float>(nq * k), std::vector<int32_t>(nq * k)};
            Search(index->TakeSnapshot(), index->space(), q.data(), nq, k, {&selection, threads}, kNever,
                   found.distances.data(), found.labels.data());
            const Vectors asked(q.begin(), q.begin() + static_cast<std::ptrdiff_t>(nq * d));
            CHECK(found == BruteForce(x, asked, d, k, metric, &selection));
          }
      }

      // A row's codes are held against their checksum when they are looked at, and only then.
      std::vector<uint64_t> words(n / 64 + 1);
      for (size_t i = 0; i < n; i += 20) words[i / 64] |= uint64_t{1} << (i % 64);
      const Selection selection(words);
      for (const size_t wrong : {40, 41}) {
        std::vector<uint32_t> damaged = code_sums;
        damaged[wrong] ^= 1;
        const auto other = open(damaged);
        Found found{std::vector<float>(k), std::vector<int32_t>(k)};
        const auto search = [&] {
          Search(other->TakeSnapshot(), other->space(), q.data(), 1, k, {&selection, 2}, kNever, found.distances.data(),
                 found.labels.data());
        };
        if (wrong == 40)
          CHECK_THROWS(kBadFile, search());
        else
          search();
      }

      // Another number of checksums, and a file that is cut short.
      CHECK_THROWS(kInvalidArgument, open({1, 2, 3}));
      WriteFile(code_rows, apart.data(), apart.size() - 1);
      CHECK_THROWS(kBadFile, open(code_sums));
    }
  }
  for (const std::string& file : {rows, codes, code_rows}) std::remove(file.c_str());
}

}  // namespace flatrank::test
