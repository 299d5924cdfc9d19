// What cuDNN is asked for and what it is not, over a machine of emulated blocks and an attention of the host's in its place.
#include "emulation_backend.hpp"
#include "laws/machine.hpp"

#include <cstddef>
#include <optional>
#include <vector>

#include <mpx/cuda/cudnn.hpp>
#include <mpx/host/machine.hpp>

using mpx::on_cuda::cudnn_attention_key;
using mpx::on_cuda::cudnn_attention_operands;

namespace {

/// Plans of the host's, which keep their statistics as cuDNN does.
class stand_in {
 public:
  static inline std::vector<cudnn_attention_key> asked, ran;
  static inline bool knows_forward = true, knows_backward = true;
  static void forget() {
    asked.clear();
    ran.clear();
    knows_forward = knows_backward = true;
  }

  explicit stand_in(int) {}

  std::optional<std::size_t> workspace(cudnn_attention_key const& key) {
    asked.push_back(key);
    return (key.backward ? knows_backward : knows_forward) ? std::optional<std::size_t>(13) : std::nullopt;
  }
  void run(cudnn_attention_key const& key, cudnn_attention_operands const& of, void* workspace) {
    ran.push_back(key);
    CHECK(reinterpret_cast<std::uintptr_t>(workspace) % alignof(float) == 0);
    static_cast<unsigned char*>(workspace)[12] = 1;  // it is there
    if (key.in_f16) run_as<mpx::f16>(key, of);
    else run_as<mpx::bf16>(key, of);
  }

 private:
  template <class T>
  void run_as(cudnn_attention_key const& key, cudnn_attention_operands const& of) {
    auto const& s = key.shape;
    std::size_t const n = s.query_tokens;
    std::vector<float> lse(s.sequences * s.heads * n), delta(lse.size()), dq_sum(lse.size() * s.head_width);
    auto const each = [&](auto f) {
      for (std::size_t b = 0; b < s.sequences; ++b)
        for (std::size_t h = 0; h < s.heads; ++h)
          for (std::size_t t = 0; t < n; ++t) f(lse[(b * n + t) * s.heads + h], of.stats[(b * s.heads + h) * n + t]);
    };
    auto const in = [](void const* at) { return static_cast<T const*>(at); };
    auto const out = [](void* at) { return static_cast<T*>(at); };
    if (!key.backward) {
      host_.attention_forward(s, out(of.o), lse.data(), in(of.q), in(of.k), in(of.v), nullptr);
      return each([](float from, float& to) { to = from; });
    }
    each([](float& to, float from) { to = from; });
    of.delta[lse.size() - 1] = 0.0f;
    host_.attention_backward(s, out(of.dq), out(of.dk), out(of.dv), dq_sum.data(), delta.data(), in(of.d_o), in(of.o),
                             static_cast<float const*>(lse.data()), in(of.q), in(of.k), in(of.v), nullptr);
  }

  mpx::on_host::machine host_;
};

struct emulated_machine : test::emulated_backend::machine {
  explicit emulated_machine(int) {}
};
struct emulated : test::emulated_backend {
  using machine = emulated_machine;
};
using with_stand_in = mpx::on_cuda::cudnn_machine<emulated_machine, stand_in>;
struct backend : emulated {
  using machine = with_stand_in;
};

/// Runs forward and backward, whoever computes them, and says what the stand-in ran: 'f' and 'b'.
template <class T>
std::string ran_for(laws::attention_case const& z, bool forward = true, bool backward = true) {
  stand_in::forget();
  stand_in::knows_forward = forward;
  stand_in::knows_backward = backward;
  laws::attention_agrees<backend, T>(z);
  std::string what;
  for (auto const& key : stand_in::ran) {
    CHECK(key.in_f16 == std::is_same_v<T, mpx::f16>);
    CHECK(key.shape.causal == z.causal);
    what += key.backward ? 'b' : 'f';
  }
  return what;
}

}  // namespace

TEST_CASE("cuDNN computes plain attention of 16-bit numbers, both ways", "[cuda][cudnn]") {
  CHECK(ran_for<mpx::bf16>({2, 3, 9, 17, 8, false, false, 0, 0, 0, 0}) == "fb");
  CHECK(ran_for<mpx::bf16>({2, 2, 20, 20, 16, true, false, 0, 0, 0, 8}) == "fb");
  CHECK(ran_for<mpx::f16>({1, 2, 7, 7, 24, true, false, 0, 0, 0, 0}) == "fb");
  CHECK(stand_in::asked.size() == 2);
}

TEST_CASE("either may continue what the other of cuDNN and mpx began", "[cuda][cudnn]") {
  laws::attention_case const z{2, 3, 9, 17, 8, true, false, 0, 0, 0, 0};
  CHECK(ran_for<mpx::bf16>(z, true, false) == "f");
  CHECK(ran_for<mpx::bf16>(z, false, true) == "b");
  CHECK(ran_for<mpx::bf16>(z, false, false).empty());
  CHECK(stand_in::asked.size() == 2);
}

TEST_CASE("cuDNN is not asked for what mpx computes in its own way", "[cuda][cudnn]") {
  CHECK(ran_for<float>({2, 3, 9, 17, 8, false, false, 0, 0, 0, 0}).empty());
  CHECK(ran_for<mpx::bf16>({2, 2, 9, 9, 8, true, true, 0, 0, 0, 0}).empty());   // lengths
  CHECK(ran_for<mpx::bf16>({2, 2, 9, 9, 8, true, false, 8, 20, 0, 0}).empty());  // a bias of scores
  CHECK(ran_for<mpx::bf16>({2, 2, 9, 9, 12, true, false, 0, 0, 0, 0}).empty());  // a width that is no multiple of 8
  CHECK(ran_for<mpx::bf16>({2, 2, 9, 9, 8, true, false, 0, 0, 0, 3}).empty());   // rows that do not begin at 16 bytes
  CHECK(stand_in::asked.empty());
  CHECK(ran_for<mpx::bf16>({2, 4, 9, 9, 8, true, false, 0, 0, 2, 0}) == "f");  // heads that share keys, backwards
  CHECK(stand_in::asked.size() == 1);
}

TEST_CASE("cuDNN is not asked for operands that do not begin at 16 bytes", "[cuda][cudnn]") {
  stand_in::forget();
  with_stand_in m;
  mpx::attention_shape const s{1, 1, 4, 4, 8, 8, 8, true};
  alignas(16) mpx::bf16 q[40]{}, o[32]{};
  float lse[4];
  m.attention_forward(s, o, lse, q + 1, q, q, nullptr);
  CHECK(stand_in::asked.empty());
  m.attention_forward(s, o, lse, q + 8, q, q, nullptr);
  CHECK(stand_in::ran.size() == 1);
}

TEST_CASE("swap_axes turns each matrix of a row", "[cuda][elements]") {
  std::vector<float> from(2 * 3 * 5), to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i);
  test::emulate(mpx::on_cuda::swap_axes{to.data(), from.data(), 2, 3, 5});
  CHECK(to[0] == 0.0f);
  CHECK(to[1] == 5.0f);   // row 1, column 0
  CHECK(to[3] == 1.0f);   // row 0, column 1
  CHECK(to[15] == 15.0f);
  CHECK(to[29] == 29.0f);
  CHECK(to[28] == 24.0f);  // of the second: row 1, column 4
}
