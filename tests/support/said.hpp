// What something throws, in words.
#pragma once

#include <exception>
#include <string>

namespace test {

/// What f throws, as text; nothing when it throws nothing.
template <class F>
std::string said(F f) {
  try {
    f();
  } catch (std::exception const& e) {
    return e.what();
  }
  return {};
}

}  // namespace test
