// The slot: the latest value whole, each once, in order, from a thread of its own.
#include <thread>
#include <utility>

#include "check.hpp"
#include "execspec/guard/slot.hpp"

using namespace execspec::guard;

namespace {

using Actions = Chunk<32, 8>;

static_assert(noexcept(std::declval<Slot<Actions>&>().publish()));
static_assert(noexcept(std::declval<Slot<Actions>&>().fetch()));

void the_latest_is_read_once() {
    Slot<int> slot;
    CHECK(!slot.fetch());
    CHECK(slot.reading() == 0);
    slot.writing() = 1;
    CHECK(!slot.fetch());
    slot.publish();
    slot.writing() = 2;
    slot.publish();
    slot.writing() = 3;
    CHECK(slot.fetch());
    CHECK(slot.reading() == 2);
    CHECK(!slot.fetch());
    CHECK(slot.reading() == 2);
    slot.publish();
    CHECK(slot.reading() == 2);
    CHECK(slot.fetch());
    CHECK(slot.reading() == 3);
}

// Every number of a chunk is its sequence number: a value put together from two would show.
void no_value_is_torn() {
    constexpr std::uint64_t last = 300000;
    Slot<Actions> slot;
    std::thread writer([&] {
        for (std::uint64_t n = 1; n <= last; ++n) {
            Actions& chunk = slot.writing();
            chunk.sequence = n;
            chunk.rows = 1 + n % 32;
            chunk.channels = 8;
            for (std::size_t i = 0; i < chunk.rows * 8; ++i) chunk.values[i] = static_cast<double>(n);
            chunk.stamp = static_cast<double>(n);
            slot.publish();
        }
    });
    std::uint64_t before = 0;
    while (before < last) {
        if (!slot.fetch()) continue;
        const Actions& chunk = slot.reading();
        CHECK(chunk.sequence > before);
        before = chunk.sequence;
        CHECK(chunk.rows == 1 + before % 32 && chunk.stamp == static_cast<double>(before));
        for (std::size_t k = 0; k < chunk.rows; ++k)
            for (std::size_t d = 0; d < 8; ++d) CHECK(chunk.row(k)[d] == static_cast<double>(before));
    }
    writer.join();
}

}  // namespace

int main() {
    the_latest_is_read_once();
    no_value_is_torn();
    return 0;
}
