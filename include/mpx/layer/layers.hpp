/// @file
/// Every layer that mpx brings, at work.
#pragma once

#include <mpx/layer/activation.hpp>
#include <mpx/layer/attention.hpp>
#include <mpx/layer/composition.hpp>
#include <mpx/layer/cross_entropy.hpp>
#include <mpx/layer/embedding.hpp>
#include <mpx/layer/linear.hpp>
#include <mpx/layer/norm.hpp>
