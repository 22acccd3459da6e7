// CUDA's vector types: laid out and aligned as nvcc does.
#ifndef FLATRANK_TEST_NATIVE_EMULATION_VECTOR_TYPES_H_
#define FLATRANK_TEST_NATIVE_EMULATION_VECTOR_TYPES_H_

// may_alias: they are read from, and written to, arrays of their elements' and other types.
#define FLATRANK_VECTOR2(name, type, alignment)                \
  struct __attribute__((may_alias, aligned(alignment))) name { \
    type x, y;                                                 \
  };                                                           \
  inline name make_##name(type x, type y) { return {x, y}; }
#define FLATRANK_VECTOR3(name, type)       \
  struct __attribute__((may_alias)) name { \
    type x, y, z;                          \
  };                                       \
  inline name make_##name(type x, type y, type z) { return {x, y, z}; }
#define FLATRANK_VECTOR4(name, type, alignment)                \
  struct __attribute__((may_alias, aligned(alignment))) name { \
    type x, y, z, w;                                           \
  };                                                           \
  inline name make_##name(type x, type y, type z, type w) { return {x, y, z, w}; }
FLATRANK_VECTOR4(char4, signed char, 4)
FLATRANK_VECTOR4(uchar4, unsigned char, 4)
FLATRANK_VECTOR2(int2, int, 8)
FLATRANK_VECTOR3(int3, int)
FLATRANK_VECTOR4(int4, int, 16)
FLATRANK_VECTOR2(uint2, unsigned, 8)
FLATRANK_VECTOR3(uint3, unsigned)
FLATRANK_VECTOR4(uint4, unsigned, 16)
FLATRANK_VECTOR2(float2, float, 8)
FLATRANK_VECTOR3(float3, float)
FLATRANK_VECTOR4(float4, float, 16)
FLATRANK_VECTOR2(double2, double, 16)
FLATRANK_VECTOR2(longlong2, long long, 16)
FLATRANK_VECTOR2(ulonglong2, unsigned long long, 16)
#undef FLATRANK_VECTOR2
#undef FLATRANK_VECTOR3
#undef FLATRANK_VECTOR4

struct dim3 {
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
  unsigned x, y, z;
};

#endif  // FLATRANK_TEST_NATIVE_EMULATION_VECTOR_TYPES_H_
