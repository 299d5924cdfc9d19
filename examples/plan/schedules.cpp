#include "planned.hpp"

namespace {

using model = mpx::gpt2_124m;
using mesh = mesh_of<1, 4, 1>;
using enough = enough_microbatches<mesh>;

template <class Schedule>
planned under(std::string const& name) {
  return plan_of<model, whole_context<model>, mesh, Schedule>("gpt2_124m", name);
}

}  // namespace

void add_schedules(std::vector<planned>& to) {
  to.push_back(under<mpx::gpipe<enough>>("gpipe"));
  to.push_back(under<mpx::interleaved<enough, mpx::chunks<2>>>("interleaved"));
  to.push_back(under<mpx::zb_h1<enough>>("zb_h1"));
  to.push_back(under<mpx::zb_v<enough>>("zb_v"));
}
