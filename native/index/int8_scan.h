#ifndef FLATRANK_INDEX_INT8_SCAN_H_
#define FLATRANK_INDEX_INT8_SCAN_H_

#include <atomic>
#include <vector>

#include "index/block_codes.h"
#include "index/fp32_scan.h"
#include "index/scan.h"

namespace flatrank {

// Scans the int8 codes of rows, a quarter of the memory and of the arithmetic; rows without codes, and everything once
// too many rows survive the wider bounds, go to the fp32 scan. The bounds are proved in code_bounds.h.
class Int8Scan : public Scan {
 public:
  // Up to `slots` threads run it, for the k nearest.
  Int8Scan(const Queries& queries, const CodeSpace& space, size_t k, int slots);

  size_t QueryPanel() const override;
  // Rows that lie apart (n), ascending: where their codes lie together with those of others only, they are compared
  // themselves.
  void RunScattered(const Part& part, const uint32_t* rows, size_t n, size_t first, size_t count,
                    Candidates* collectors, int slot);
  void Run(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot) override;

 private:
  // Queries as one block sees them: around its centre.
  struct Prepared {
    const Part* part = nullptr;
    size_t first = 0, count = 0;
    std::vector<QueryTerms> terms;
    std::vector<int32_t> codes, bias;
    bool safe = true;
  };
  struct Slot {
    Prepared prepared;
    std::vector<CodeRule> rules;
    std::vector<CodeHit> hits;
    std::vector<float> scratch;
    std::vector<int8_t> codes;
    std::vector<uint8_t> panels;  // of rows that lay apart
  };

  const Prepared& Prepare(const Part& part, size_t first, size_t count, Slot& slot) const;
  QueryTerms PrepareQuery(const Part& part, size_t query, Slot& slot, int8_t* codes) const;
  void MakeRules(size_t first, size_t count, Candidates* collectors, Slot& slot) const;
  void Keep(const CodeHit& hit, const PanelTerms& panel, size_t label, size_t first, Candidates* collectors,
            Slot& slot) const;
  size_t RunCodes(const RowRange& rows, size_t first, size_t count, Candidates* collectors, Slot& slot) const;
  size_t RunApart(const Part& part, const uint32_t* rows, size_t n, size_t first, size_t count, Candidates* collectors,
                  Slot& slot) const;
  void Weigh(size_t rows, size_t count, size_t hits);
  double HitCost() const;
  void RunFp32(const RowRange& rows, size_t first, size_t count, Candidates* collectors, int slot);

  const Queries queries_;
  const CodeSpace& space_;
  const CodeKernels& coder_;
  const double dot_factor_;  // g
  Fp32Scan fp32_;
  std::vector<Slot> slots_;
  std::atomic<int64_t> balance_{0};  // nanoseconds saved, by rule of thumb, minus what rows that survived cost
};

}  // namespace flatrank

#endif  // FLATRANK_INDEX_INT8_SCAN_H_
