// The guard: a gate for every action of the policy, a watch for every step of the control loop, a slot between them.
#pragma once

#include "execspec/guard/banner.hpp"
#include "execspec/guard/gate.hpp"
#include "execspec/guard/image.hpp"
#include "execspec/guard/slot.hpp"
#include "execspec/guard/status.hpp"
#include "execspec/guard/watch.hpp"
