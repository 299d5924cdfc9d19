#include "translator.hpp"

#include <iostream>

void print_plan(std::ostream& out) { out << mpx::plan_v<model, recipe> << '\n'; }
