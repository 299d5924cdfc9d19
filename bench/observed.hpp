/// @file
/// The host's backend, looked at: what its products and attentions are asked for, and how long they take.
#pragma once

#include <mpx/mpx.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "measure.hpp"

namespace bench {

/// One product by itself, its operands in cache where they fit: the best of several runs. The rate of all of them is the
/// limit that a step is held against.
template <class T, class U>
double seconds_alone(mpx::gemm_shape const& s, bool with_bias) {
  mpx::on_host::gemm multiply;
  std::vector<T> a(s.m * s.k, T(0.5f)), b(s.k * s.n, T(0.25f)), bias(s.n, T(1.0f));
  std::vector<U> c(s.m * s.n, U(0.0f));
  return quickest([&] { multiply(s, a.data(), b.data(), c.data(), with_bias ? bias.data() : static_cast<T const*>(nullptr)); });
}

/// Every product of one shape.
struct product_record {
  mpx::gemm_shape shape;
  bool bias = false;
  double (*alone)(mpx::gemm_shape const&, bool) = nullptr;
  long calls = 0;
  double seconds = 0;

  [[nodiscard]] double flops() const {
    return 2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  }
};

/// What all devices did while somebody looked.
struct observation {
  std::mutex mutex;
  std::vector<product_record> products;
  double attention_forward = 0, attention_backward = 0;  ///< seconds

  void add(product_record const& one) {
    std::scoped_lock const lock(mutex);
    for (auto& known : products)
      if (known.shape == one.shape && known.bias == one.bias && known.alone == one.alone) {
        known.calls += one.calls;
        known.seconds += one.seconds;
        return;
      }
    products.push_back(one);
  }
};
inline observation* looking = nullptr;  ///< null: nobody looks, and nothing but this is asked

class observed_machine : public mpx::on_host::machine {
 public:
  template <class T, class U>
  void gemm(mpx::gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    if (looking == nullptr) return machine::gemm(s, a, b, c, bias);
    auto const begin = std::chrono::steady_clock::now();
    machine::gemm(s, a, b, c, bias);
    looking->add({s, bias != nullptr, seconds_alone<T, U>, 1, seconds_since(begin)});
  }
  template <class... Args>
  void attention_forward(mpx::attention_shape const& s, Args... args) {
    timed(&observation::attention_forward, [&] { machine::attention_forward(s, args...); });
  }
  template <class... Args>
  void attention_backward(mpx::attention_shape const& s, Args... args) {
    timed(&observation::attention_backward, [&] { machine::attention_backward(s, args...); });
  }

 private:
  template <class F>
  static void timed(double observation::* where, F&& run) {
    if (looking == nullptr) return run();
    auto const begin = std::chrono::steady_clock::now();
    run();
    std::scoped_lock const lock(looking->mutex);
    looking->*where += seconds_since(begin);
  }
};

struct observed_backend : mpx::on_host::backend {
  using machine = observed_machine;
};

}  // namespace bench
