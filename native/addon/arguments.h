// Reading arguments: whatever guards memory is checked here again, however careful the TypeScript above is.
#ifndef FLATRANK_ADDON_ARGUMENTS_H_
#define FLATRANK_ADDON_ARGUMENTS_H_

#include <napi.h>

#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/cancellation.h"
#include "core/error.h"
#include "core/thread_pool.h"

namespace flatrank::addon {

// A view of a typed array's values, from its own offset on.
template <typename T>
struct View {
  const T* data;
  size_t length;
};

template <typename T>
constexpr napi_typedarray_type kArrayType = napi_float32_array;
template <>
inline constexpr napi_typedarray_type kArrayType<int32_t> = napi_int32_array;
template <>
inline constexpr napi_typedarray_type kArrayType<uint32_t> = napi_uint32_array;
template <>
inline constexpr napi_typedarray_type kArrayType<uint8_t> = napi_uint8_array;

template <typename T>
constexpr const char* kArrayName = "Float32Array";
template <>
inline constexpr const char* kArrayName<int32_t> = "Int32Array";
template <>
inline constexpr const char* kArrayName<uint32_t> = "Uint32Array";
template <>
inline constexpr const char* kArrayName<uint8_t> = "Uint8Array";

template <typename T>
View<T> ReadArray(const Napi::Value& value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != kArrayType<T>)
    throw Error(kInvalidArgument, std::string("Expected `") + name + "` to be a " + kArrayName<T>);
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.ElementLength()};
}

inline size_t ReadCount(const Napi::Value& value, const char* name, size_t least, size_t most) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) || number != std::floor(number))
    throw Error(kInvalidArgument, std::string("Expected `") + name + "` to be an integer from " +
                                      std::to_string(least) + " to " + std::to_string(most));
  return static_cast<size_t>(number);
}

inline std::string ReadChoice(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw Error(kInvalidArgument, std::string("Expected `") + name + "` to be a string");
  return value.As<Napi::String>().Utf8Value();
}

// A new array for results. V8 owns its memory, so it can be handed to other threads without a copy; nobody but the job
// that fills it knows it until the promise resolves.
template <typename T>
Napi::TypedArrayOf<T> NewArray(Napi::Env env, size_t length) {
  constexpr size_t kLarge = size_t{64} << 20;
  if (length * sizeof(T) < kLarge) return Napi::TypedArrayOf<T>::New(env, length);
  // Where there is no memory, N-API ends the process but the constructor throws.
  try {
    const auto make = env.Global().Get(kArrayName<T>).template As<Napi::Function>();
    return make.New({Napi::Number::New(env, static_cast<double>(length))}).template As<Napi::TypedArrayOf<T>>();
  } catch (const Napi::Error&) {
    throw std::bad_alloc();
  }
}

inline Napi::ObjectReference Pin(const Napi::Value& value) { return Napi::Persistent(value.As<Napi::Object>()); }

inline int AllThreads() { return ThreadPool::Shared().threads(); }

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_ARGUMENTS_H_
