// A million steps of gate, watch and slot allocate nothing, whatever they are given.
#include <cmath>
#include <cstdlib>
#include <new>

#include "check.hpp"
#include "execspec/guard.hpp"
#include "guard_image.hpp"

namespace {

std::uint64_t allocations = 0;

void* allocated(std::size_t size) {
    ++allocations;
    void* memory = std::malloc(size);
    CHECK(memory);
    return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocated(size); }
void* operator new[](std::size_t size) { return allocated(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocated(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocated(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using namespace execspec::guard;

int main() {
    guard_image::Parts parts;
    parts.siblings = {{"sibling", 9, parts.axes}};
    guard_image::Bytes bytes = parts.build();
    CHECK(allocations > 0);
    static Gate gate;
    static Watch watch;
    static Slot<Chunk<50, 8>> slot;
    Random random(1);
    const std::uint64_t before = allocations;
    CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    for (int i = 0; i < 1000000; ++i) {
        double u[6] = {random(), random(), random(), random(), random(), random()};
        double a[6];
        gate.command(u, a);
        gate.command(u + 3, a + 3);
        if (i % 13 == 0) a[i % 3] += random();
        if (i % 1013 == 0) a[i % 3] = std::nan("");
        const Decision decision = i % 2 ? gate.step({u, 3}, {a, 3}) : gate.accept({u, 6}, {a, 6}, 1 + i / 2 % 2);
        if (!decision.passes()) gate.hold(a);
        double command = 0.5 * std::sin(1e-3 * i) + (i % 17 == 0 ? random() : 0.0);
        if (!watch.step({&command, 1}, 1e-3).passes()) watch.stop(&command, 1e-3);
        slot.writing().values[0] = command;
        slot.publish();
        CHECK(slot.fetch() && slot.reading().values[0] == command);
        if (gate.latched()) CHECK(gate.reset(guard_image::digest_of(7)));
        if (watch.latched()) CHECK(watch.reset(guard_image::digest_of(7)));
    }
    CHECK(gate.counters().steps == 1000000 && gate.counters().refused > 0);
    CHECK(gate.evidence().steps > 0);
    CHECK(watch.counters().steps == 1000000 && watch.counters().refused > 0);
    static char text[4096];
    CHECK(banner(gate.image(), text, sizeof text) > 0 && explain(gate, ~0u, text, sizeof text) > 0);
    CHECK(allocations == before);
    return 0;
}
