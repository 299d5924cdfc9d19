// error: mpx::optimizer requires a fully reduced gradient in its parameter's layout
// fact:  partial
#include <mpx/host/machine.hpp>
#include <mpx/optim/update.hpp>

constexpr mpx::layout weight = mpx::parameter_layout(mpx::spread::invariant);

// A gradient as backward leaves it, which no data rank has reduced.
void step(mpx::on_host::machine& machine, mpx::tensor_view<float, weight> master,
          mpx::tensor_view<float, mpx::gradient_layout(weight)> gradient) {
  mpx::update_parameter<mpx::sgd>(machine, {}, master, master, gradient, std::array<float*, 0>{}, 1, 1.0f,
                                  [](float g) { return g; });
}
