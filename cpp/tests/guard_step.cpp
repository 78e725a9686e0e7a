// The steps of gate, watch and slot as object code alone: undefined_symbols.cmake looks at what they call.
#include "execspec/guard/gate.hpp"
#include "execspec/guard/slot.hpp"
#include "execspec/guard/watch.hpp"

using namespace execspec::guard;

using Actions = Chunk<50, 8>;

extern "C" {
Decision gate_step(Gate* gate, Span u, Span a, Time time) noexcept { return gate->step(u, a, time); }
Decision gate_accept(Gate* gate, Span u, Span a, std::size_t executed, Time time) noexcept {
    return gate->accept(u, a, executed, time);
}
void gate_command(const Gate* gate, const double* u, double* a) noexcept { gate->command(u, a); }
bool gate_hold(const Gate* gate, double* out) noexcept { return gate->hold(out); }
Decision watch_step(Watch* watch, Span command, double dt, Time time) noexcept {
    return watch->step(command, dt, time);
}
bool watch_stop(Watch* watch, double* out, double dt) noexcept { return watch->stop(out, dt); }
void slot_publish(Slot<Actions>* slot) noexcept { slot->publish(); }
bool slot_fetch(Slot<Actions>* slot) noexcept { return slot->fetch(); }
}
