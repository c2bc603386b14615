// Tests that run once with threads and once with io_uring.
#ifndef HOLDFAST_TEST_ENGINES_H_
#define HOLDFAST_TEST_ENGINES_H_

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "core/counters.h"
#include "core/staging_pool.h"
#include "core/start_engine.h"
#include "core/system_probe.h"

namespace holdfast {

// Expects that nothing is left over: no threads, no memory but what is spare.
class EngineTest : public testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    std::string reason;
    if (GetParam() == EngineKind::kUring && !ProbeIoUring(&reason)) GTEST_SKIP() << reason;
  }
  void TearDown() override {
    EXPECT_EQ(counters().staging_bytes.load(), lost_bytes_);
    EXPECT_EQ(counters().threads.load(), 0);
    counters().staging_bytes -= lost_bytes_;
    StagingPool::Global().Clear();
    EXPECT_EQ(counters().spare_staging_bytes.load(), 0);
  }

  // Staging memory that a test makes the engine give up for ever.
  int64_t lost_bytes_ = 0;
};

inline void PrintTo(EngineKind kind, std::ostream* out) {
  *out << EngineKindName(kind);
}

inline std::string NameOfEngine(const testing::TestParamInfo<EngineKind>& tested) {
  return EngineKindName(tested.param);
}

}  // namespace holdfast

#endif  // HOLDFAST_TEST_ENGINES_H_
