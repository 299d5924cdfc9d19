/// @file
/// Words that turn a template backtrace into a sentence.
///
/// A checker class takes its facts as types, so that every compiler prints them beside the static_assert.
#pragma once

#include <mpx/core/fixed_string.hpp>

namespace mpx {

/// False, with a reason: the last alternative of a concept.
///
///   template <class T> concept c = test<T> || unsatisfied<"T must ...", T>();
///
/// The compiler quotes the sentence, and the concept can still be asked softly.
template <fixed_string Sentence, class... Facts>
consteval bool unsatisfied() {
  return false;
}

}  // namespace mpx
