// llama with eight heads that share four of keys and values, in f32 on every kind of mesh.
#include "mesh.hpp"

TEST_CASE("llama with shared keys and values in f32 computes on a mesh what it computes on one device", "[mesh]") {
  using model = mpx::llama<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<8>, mpx::key_value_heads<4>, mpx::feed_forward<64>,
                           mpx::layers<2>, mpx::context<16>>;
  test::computes_what_one_device_computes<model, mpx::f32_only>();
}
