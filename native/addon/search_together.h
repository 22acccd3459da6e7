#ifndef FLATRANK_ADDON_SEARCH_TOGETHER_H_
#define FLATRANK_ADDON_SEARCH_TOGETHER_H_

#include <napi.h>

namespace flatrank::addon {

// searchTogether(indexes, rows, selections, queries, k, threads, cancellation): lib/native.ts.
Napi::Value SearchTogether(const Napi::CallbackInfo& info);

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_SEARCH_TOGETHER_H_
