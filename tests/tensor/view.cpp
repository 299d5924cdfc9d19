// Mirrors include/mpx/tensor/view.hpp. What it refuses is in tests/compile_fail/tensor_view_*.
#include <mpx/tensor/view.hpp>

#include <concepts>
#include <type_traits>

#include <mpx_test.hpp>

namespace {

constexpr mpx::layout whole = mpx::activation_layout(mpx::spread::invariant);
constexpr mpx::layout part = mpx::activation_layout(mpx::spread::partial);
using activation = mpx::tensor_view<float, whole>;
using pending = mpx::tensor_view<float, part>;
using on_gpu = mpx::tensor_view<float, whole, mpx::device_kind::cuda>;

/// All that is asked of a context here: the kind of its machine.
template <mpx::device_kind Kind>
struct context {
  static constexpr mpx::device_kind kind = Kind;
};

}  // namespace

static_assert(mpx::view<activation> && mpx::view<on_gpu> && mpx::view<mpx::tensor_view<mpx::device const, part>>);
static_assert(!mpx::view<float*> && !mpx::view<int> && !mpx::view<context<mpx::device_kind::host>>);

static_assert(std::same_as<activation::element, float>);
static_assert(std::same_as<mpx::tensor_view<int const, whole>::element, int const>);
static_assert(activation::mesh_layout == whole && pending::mesh_layout == part);
static_assert(activation::where == mpx::device_kind::host && on_gpu::where == mpx::device_kind::cuda);

// A view is its pointer: what the compiler knows of it costs nothing.
static_assert(sizeof(activation) == sizeof(float*) && std::is_trivially_copyable_v<activation>);

// Neither a layout nor a machine nor an element is lost on the way.
static_assert(!std::convertible_to<pending, activation> && !std::convertible_to<activation, pending>);
static_assert(!std::convertible_to<on_gpu, activation> && !std::convertible_to<activation, float*>);
static_assert(!std::convertible_to<activation, mpx::tensor_view<double, whole>>);

TEST_CASE("a machine works on memory of its own kind, on any number of tensors", "[tensor][view]") {
  mpx::require_same_memory<context<mpx::device_kind::host>>();
  mpx::require_same_memory<context<mpx::device_kind::host>, activation, pending>();
  mpx::require_same_memory<context<mpx::device_kind::cuda>, on_gpu>();
  CHECK(activation{}.data == nullptr);
  float x = 1;
  *activation{&x}.data = 2;
  CHECK(x == 2);
}
