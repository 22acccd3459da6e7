// Tensor cores on tiles of 8-bit integers: nvcuda::wmma.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_TENSOR_CORES_H_
#define FLATRANK_TEST_NATIVE_EMULATION_TENSOR_CORES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "fail.h"
#include "intrinsics.h"
#include "scheduler.h"

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

// As on a GPU every lane holds its part of the tile; which part is nobody's business, and not the GPU's here.
template <typename Use, int M, int N, int K, typename T, typename Layout = void>
class fragment {
  static_assert((M == 16 && N == 16 && K == 16) || (M == 32 && N == 8 && K == 16) || (M == 8 && N == 32 && K == 16));
  static constexpr bool kAccumulator = std::is_same_v<Use, accumulator>;
  static_assert(kAccumulator
                    ? std::is_same_v<T, int> && std::is_void_v<Layout>
                    : (std::is_same_v<T, signed char> || std::is_same_v<T, unsigned char>)&&!std::is_void_v<Layout>);

 public:
  static constexpr int kRows = std::is_same_v<Use, matrix_b> ? K : M;
  static constexpr int kColumns = std::is_same_v<Use, matrix_a> ? K : N;
  static constexpr int num_elements = kRows * kColumns / 32;
  using element_type = T;

  fragment() { std::memset(x, 0xA5, sizeof(x)); }

  // Where in the tile the running lane's element i is.
  static constexpr unsigned Row(int i, unsigned lane) { return (static_cast<unsigned>(i) * 32 + lane) / kColumns; }
  static constexpr unsigned Column(int i, unsigned lane) { return (static_cast<unsigned>(i) * 32 + lane) % kColumns; }

  T x[num_elements];
  // What must be the same in all lanes: where it was loaded from.
  const void* source = nullptr;
  unsigned stride = 0;
  bool filled = false;
};

namespace internal {

template <typename T>
void CheckTile(const T* address, unsigned stride, const char* name) {
  if (reinterpret_cast<uintptr_t>(address) % 32 != 0)
    flatrank::emulation::internal::Fail("%s: the address must be aligned to 32 bytes", name);
  if (stride % (16 / sizeof(T)) != 0)
    flatrank::emulation::internal::Fail("%s: the stride must be a multiple of 16 bytes", name);
}

// Every lane loads and stores its part when it gets there: that others have written theirs takes a __syncwarp().
template <typename Fragment, typename T>
void Load(Fragment& to, const T* address, unsigned stride, bool rows) {
  CheckTile(address, stride, "load_matrix_sync");
  const unsigned lane = flatrank::emulation::internal::Lane();
  for (int i = 0; i < Fragment::num_elements; ++i) {
    const size_t row = Fragment::Row(i, lane), column = Fragment::Column(i, lane);
    to.x[i] = rows ? address[row * stride + column] : address[column * stride + row];
  }
  to.source = address;
  to.stride = stride;
  to.filled = true;
}

template <typename D, typename A, typename B, typename C>
struct Operands {
  D* d;
  const A* a;
  const B* b;
  const C* c;
  bool saturate;
};

template <typename Fragment>
void CheckSame(const Fragment& fragment, const Fragment& first) {
  if (!fragment.filled) flatrank::emulation::internal::Fail("mma_sync: a fragment was never loaded or filled");
  if (fragment.source != first.source || fragment.stride != first.stride)
    flatrank::emulation::internal::Fail("mma_sync: the lanes of a warp loaded a fragment from different places");
}

template <typename D, typename A, typename B, typename C>
void Multiply(void* const* arguments, unsigned) {
  const auto operands = [&](unsigned lane) { return static_cast<Operands<D, A, B, C>*>(arguments[lane]); };
  int a[A::kRows][A::kColumns], b[B::kRows][B::kColumns];
  const auto* first = operands(0);
  for (unsigned lane = 0; lane < 32; ++lane) {
    const auto* mine = operands(lane);
    CheckSame(*mine->a, *first->a);
    CheckSame(*mine->b, *first->b);
    CheckSame(*mine->c, *first->c);
    for (int i = 0; i < A::num_elements; ++i) a[A::Row(i, lane)][A::Column(i, lane)] = mine->a->x[i];
    for (int i = 0; i < B::num_elements; ++i) b[B::Row(i, lane)][B::Column(i, lane)] = mine->b->x[i];
  }
  int product[D::kRows][D::kColumns] = {};  // of 16 products of bytes, which do not overflow
  for (int row = 0; row < D::kRows; ++row)
    for (int k = 0; k < A::kColumns; ++k)
      for (int column = 0; column < D::kColumns; ++column) product[row][column] += a[row][k] * b[k][column];
  for (unsigned lane = 0; lane < 32; ++lane) {
    auto* mine = operands(lane);
    for (int i = 0; i < D::num_elements; ++i) {
      int64_t sum = int64_t{mine->c->x[i]} + product[D::Row(i, lane)][D::Column(i, lane)];
      if (mine->saturate) sum = min(max(sum, int64_t{INT32_MIN}), int64_t{INT32_MAX});
      mine->d->x[i] = static_cast<int>(sum);
    }
    mine->d->source = nullptr;
    mine->d->stride = 0;
    mine->d->filled = true;
  }
}

}  // namespace internal

template <typename Use, int M, int N, int K, typename T, typename Layout>
void fill_fragment(fragment<Use, M, N, K, T, Layout>& to, const std::type_identity_t<T>& value) {
  for (T& element : to.x) element = value;
  to.source = nullptr;
  to.stride = 0;
  to.filled = true;
}

template <typename Use, int M, int N, int K, typename T, typename Layout>
void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& to, const T* address, unsigned stride) {
  static_assert(!std::is_void_v<Layout>, "loading an accumulator takes a layout");
  internal::Load(to, address, stride, std::is_same_v<Layout, row_major>);
}
template <int M, int N, int K>
void load_matrix_sync(fragment<accumulator, M, N, K, int>& to, const int* address, unsigned stride, layout_t layout) {
  internal::Load(to, address, stride, layout == mem_row_major);
}

template <int M, int N, int K>
void store_matrix_sync(int* address, const fragment<accumulator, M, N, K, int>& from, unsigned stride,
                       layout_t layout) {
  using Fragment = fragment<accumulator, M, N, K, int>;
  internal::CheckTile(address, stride, "store_matrix_sync");
  if (!from.filled) flatrank::emulation::internal::Fail("store_matrix_sync: the fragment was never loaded or filled");
  const unsigned lane = flatrank::emulation::internal::Lane();
  for (int i = 0; i < Fragment::num_elements; ++i) {
    const size_t row = Fragment::Row(i, lane), column = Fragment::Column(i, lane);
    address[layout == mem_row_major ? row * stride + column : column * stride + row] = from.x[i];
  }
}

template <int M, int N, int K, typename T, typename LayoutA, typename LayoutB>
void mma_sync(fragment<accumulator, M, N, K, int>& d, const fragment<matrix_a, M, N, K, T, LayoutA>& a,
              const fragment<matrix_b, M, N, K, T, LayoutB>& b, const fragment<accumulator, M, N, K, int>& c,
              bool saturate = false, const std::source_location& site = std::source_location::current()) {
  using A = fragment<matrix_a, M, N, K, T, LayoutA>;
  using B = fragment<matrix_b, M, N, K, T, LayoutB>;
  using C = fragment<accumulator, M, N, K, int>;
  internal::Operands<C, A, B, C> operands{&d, &a, &b, &c, saturate};
  flatrank::emulation::internal::WarpBarrier({"mma_sync", internal::Multiply<C, A, B, C>, false}, 0xffffffffU,
                                             &operands, site);
}

}  // namespace nvcuda::wmma

#endif  // FLATRANK_TEST_NATIVE_EMULATION_TENSOR_CORES_H_
