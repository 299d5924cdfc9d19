/// @file
/// Words that turn a template backtrace into a sentence.
///
/// A checker class takes its facts as types, so that every compiler prints them beside the static_assert.
#pragma once

#include <type_traits>

#include <mpx/core/fixed_string.hpp>

namespace mpx {

/// False, with a reason: the last alternative of a concept.
///
///   template <class T> concept c = test<T> || unsatisfied<"T must ...", T>();
///
/// The compiler quotes the sentence, and the concept can still be asked softly. nvcc quotes no more than the last line of a
/// constraint: where it is to be read there, the call stands on one.
template <fixed_string Sentence, class... Facts>
consteval bool unsatisfied() {
  return false;
}

/// Has a checker class say what its static_asserts find wrong, once:
///   using checked = decltype(verdict_on<checker<facts...>>());
/// A class that holds the static_asserts itself is left unfinished by clang where one fails, and whoever uses it
/// complains about what is missing there.
template <class Checker>
constexpr auto verdict_on() {
  [[maybe_unused]] Checker asked;
  return std::true_type{};
}

}  // namespace mpx
