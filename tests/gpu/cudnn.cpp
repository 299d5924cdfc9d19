// Attention by cuDNN against the host's, and what it says of its plans.
#include "gpu.hpp"
#include "laws/machine.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/backend/mixed.hpp>
#include <mpx/cuda/cudnn.hpp>
#include <mpx/host/backend.hpp>

using mpx::on_cuda::cudnn_attention_key;
using backend = mpx::on_cuda::with_cudnn<mpx::on_cuda::backend>;

static_assert(mpx::backend<backend>);
static_assert(mpx::backend<mpx::mixed_backend<mpx::on_host::backend, backend>>);

namespace {

/// An H200, as cuDNN describes GPUs.
constexpr char h200[] =
    R"({"deviceName":"NVIDIA H200","cudaDeviceId":0,"deviceVer":900,"driverVer":13000,"isTccDriver":0,"l2CacheSize":62914560,)"
    R"("maxCtasPerSM":32,"maxRegistersPerSM":65536,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,)"
    R"("maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"memClockRateKHz":3201000,"multiProcessorCount":132,"pciDeviceId":0,)"
    R"("regsPerBlock":65536,"reservedSharedMemoryPerBlock":1024,"smClockRateKHz":1980000,"supportCoopLaunch":1,)"
    R"("totalGlobalMem":150000000000,"warpSize":32,"maxBlockSize":[1024,1024,64],"maxGridSize":[2147483647,65535,65535]})";

cudnn_attention_key key_of(std::size_t tokens, std::size_t width, bool causal, bool in_f16, bool backward) {
  return {{2, 4, tokens, tokens, width, 12 * width, 12 * width, causal}, in_f16, backward};
}

template <class F>
void for_each_key(F f) {
  for (bool const causal : {false, true})
    for (bool const in_f16 : {false, true})
      for (bool const backward : {false, true})
        for (std::size_t const tokens : {70, 256})
          for (std::size_t const width : {64, 128}) f(key_of(tokens, width, causal, in_f16, backward));
}

}  // namespace

TEST_CASE("cuDNN understands attention's nodes for a GPU that is not there", "[gpu][cudnn]") {
  if (mpx::on_cuda::device_count() > 0) return;  // CUDA's driver would load its kernels
  mpx::on_cuda::cudnn_attention plans{std::string(h200)};
  for_each_key([&](cudnn_attention_key const& key) {
    INFO(key.shape.query_tokens << " tokens, width " << key.shape.head_width << (key.shape.causal ? ", causal" : "")
                                << (key.in_f16 ? ", f16" : "") << (key.backward ? ", backward" : ""));
    REQUIRE_NOTHROW(plans.workspace(key));  // without the driver there is no plan, but no error either
  });
  CHECK_FALSE(plans.workspace(key_of(70, 20, true, false, false)));  // an answer, no error
}

TEST_CASE("a GPU that cuDNN is told in words it does not know is refused", "[gpu][cudnn]") {
  CHECK(test::said([] { mpx::on_cuda::cudnn_attention("{}"); }).find("cuDNN could not understand a device") != std::string::npos);
}

TEST_CASE("cuDNN has plans for plain attention", "[gpu][cudnn]") {
  if (test::no_gpu()) return;
  mpx::on_cuda::cudnn_attention plans(0);
  for_each_key([&](cudnn_attention_key const& key) {
    INFO(key.shape.query_tokens << " tokens, width " << key.shape.head_width << (key.backward ? ", backward" : ""));
    CHECK(plans.workspace(key));
  });
}

TEMPLATE_TEST_CASE("cuDNN's attention gives what the host's gives", "[gpu][cudnn]", mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<backend, TestType>(z); };
  for (std::size_t const gap : {0, 8})
    for (bool const causal : {false, true})
      for (std::size_t const head_width : {32, 40, 64, 128})
        for (std::size_t const tokens : {1, 64, 65, 200, 512}) {
          agree({2, 2, tokens, tokens, head_width, causal, false, 0, 0, 0, gap});
          agree({2, 2, tokens, 130, head_width, causal, false, 0, 0, 0, gap});
        }
  agree({2, 6, 200, 200, 64, true, false, 0, 0, 2, 0});  // forward by cuDNN, backward by mpx
  agree({2, 2, 200, 200, 64, true, true, 0, 0, 0, 0});   // by mpx
}

TEMPLATE_TEST_CASE("cuDNN's attention gives the same bits again", "[gpu][cudnn]", mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  using T = TestType;
  for (bool const causal : {false, true}) {
    backend::machine m;
    std::size_t const H = 12, D = 64, tokens = 1024, n = 2 * tokens * H * D;
    mpx::attention_shape const s{2, H, tokens, tokens, D, H * D, H * D, causal};
    REQUIRE(m.attention().workspace({s, std::is_same_v<T, mpx::f16>, true}));
    laws::twin<backend, T> q(m, laws::numbers<T>(n, 1, 2.0f)), k(m, laws::numbers<T>(n, 2, 2.0f));
    laws::twin<backend, T> v(m, laws::numbers<T>(n, 3, 2.0f)), d_o(m, laws::numbers<T>(n, 4, 2.0f)), o(m, laws::nothing<T>(n));
    laws::twin<backend, float> lse(m, laws::nothing<float>(n / D)), delta(m, laws::nothing<float>(n / D));
    laws::twin<backend, T> dq(m, laws::nothing<T>(n)), dk(m, laws::nothing<T>(n)), dv(m, laws::nothing<T>(n));
    std::vector<std::vector<T>> first;
    for (int i = 0; i < 10; ++i) {
      m.attention_forward(s, o.data(), lse.data(), q.in(), k.in(), v.in(), nullptr);
      m.attention_backward(s, dq.data(), dk.data(), dv.data(), static_cast<float*>(nullptr), delta.data(), d_o.in(), o.in(),
                           static_cast<float const*>(lse.data()), q.in(), k.in(), v.in(), nullptr);
      std::vector<std::vector<T>> const now{o.read(), dq.read(), dk.read(), dv.read()};
      if (i == 0) first = now;
      for (std::size_t j = 0; j < now.size(); ++j) CHECK(laws::same_bits(first[j], now[j]));
    }
    CHECK(m.workspace_bytes() >= *m.attention().workspace({s, std::is_same_v<T, mpx::f16>, true}));
  }
}
