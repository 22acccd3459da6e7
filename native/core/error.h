// The one C++ error type. The addon turns it into the JavaScript FlatrankError with the same code.
#ifndef FLATRANK_CORE_ERROR_H_
#define FLATRANK_CORE_ERROR_H_

#include <stdexcept>
#include <string>

namespace flatrank {

// `code` is one of the strings that lib/errors.ts publishes.
class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;
};

inline constexpr char kInvalidArgument[] = "ERR_INVALID_ARGUMENT";
inline constexpr char kDimension[] = "ERR_DIMENSION";
inline constexpr char kNonFinite[] = "ERR_NON_FINITE";
inline constexpr char kCapacity[] = "ERR_CAPACITY";
inline constexpr char kOutOfMemory[] = "ERR_OUT_OF_MEMORY";
inline constexpr char kDisposed[] = "ERR_DISPOSED";
inline constexpr char kNotFound[] = "ERR_NOT_FOUND";
inline constexpr char kBadFile[] = "ERR_BAD_FILE";
inline constexpr char kCancelled[] = "ERR_CANCELLED";
inline constexpr char kUnsupported[] = "ERR_UNSUPPORTED";
inline constexpr char kDevice[] = "ERR_DEVICE";

}  // namespace flatrank

#endif  // FLATRANK_CORE_ERROR_H_
