// Places one model in four ways, the last of them a policy of its own, and prints what each placement costs. The plan
// is a constexpr value: asking it needs no device.
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/print.hpp>

#include <iostream>

using namespace mpx::literals;

using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<128>, mpx::heads<4>, mpx::layers<6>, mpx::context<64>>;

template <class Placement>
using placed = mpx::recipe<Placement, mpx::one_f_one_b<mpx::microbatches<8>>,
                           mpx::microbatch_capacity<mpx::sequences<4>, mpx::tokens<64>>>;

using by_name = mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"layers.0", mpx::host<0>>,
                              mpx::at<"layers.1", mpx::host<0>>, mpx::at<"layers.2", mpx::host<0>>,
                              mpx::at<"layers.3", mpx::host<0>>, mpx::at<"layers.4", mpx::host<1>>,
                              mpx::at<"layers.5", mpx::host<1>>, mpx::at<"norm", mpx::host<1>>,
                              mpx::at<"head", mpx::host<1>>, mpx::at<"loss", mpx::host<1>>>;

/// A placement is a function from what is known of the layers to devices. This one cuts where half of the work is done.
struct halve_the_work {
  template <std::size_t N>
  static constexpr std::array<mpx::device, N> assign(std::array<mpx::layer_info, N> const& layers) {
    double all = 0, done = 0;
    for (auto const& layer : layers) all += layer.forward_flops;
    std::array<mpx::device, N> where{};
    for (std::size_t i = 0; i < N; ++i) {
      done += layers[i].forward_flops;
      where[i] = done <= all / 2 ? mpx::device(mpx::host<0>{}) : mpx::device(mpx::host<1>{});
    }
    return where;
  }
};

// Decisions about a placement can be written down where the compiler keeps them true.
static_assert(mpx::device_of<model, placed<by_name>, "layers.4"> == mpx::host<1>{});
static_assert(mpx::plan_v<model, placed<by_name>>.bytes_on(mpx::host<0>{}) < 32_MiB);

template <class Placement>
constexpr double idle = mpx::plan_v<model, placed<Placement>>.idle_share();
static_assert(idle<halve_the_work> < idle<by_name> && idle<by_name> < idle<mpx::place_evenly<4>>);

template <class Placement>
void show(char const* title) {
  std::cout << title << '\n' << mpx::plan_v<model, placed<Placement>> << '\n';
}

int main() {
  show<mpx::place_all<>>("place_all: everything on one device");
  show<mpx::place_evenly<4>>("place_evenly<4>: as many layers on each of four devices");
  show<by_name>("place_at: by name");
  show<halve_the_work>("halve_the_work: a policy of this file");
}
