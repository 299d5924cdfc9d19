/// @file
/// Catch2, as version 3 or version 2 brings it; `Approx` is in the global namespace with both.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
