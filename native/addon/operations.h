// The operations that are plain functions: pooling and merging.
#ifndef FLATRANK_ADDON_OPERATIONS_H_
#define FLATRANK_ADDON_OPERATIONS_H_

#include <napi.h>

namespace flatrank::addon {

Napi::Value PoolTokens(const Napi::CallbackInfo& info);
Napi::Value MergeShardResults(const Napi::CallbackInfo& info);
Napi::Value MergeRerankLists(const Napi::CallbackInfo& info);

}  // namespace flatrank::addon

#endif  // FLATRANK_ADDON_OPERATIONS_H_
