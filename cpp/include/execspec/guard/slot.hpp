// Hand-over from one thread to one other: the latest value, whole, without waiting on either side.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace execspec::guard {

// Three buffers: one being written, one being read, and one in the middle that both sides exchange theirs for. Values
// that were not fetched in time are overwritten. One writing and one reading thread; T needs no lock of its own.
template <class T>
class Slot {
    static_assert(std::atomic<std::uint8_t>::is_always_lock_free, "an exchange of one byte must not take a lock");

  public:
    Slot() = default;
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    // Writer: what to fill in. It holds some earlier value.
    T& writing() noexcept { return buffers_[back_].value; }
    // Writer: hands it over; `writing` is another from here on.
    void publish() noexcept {
        back_ = static_cast<std::uint8_t>(middle_.exchange(static_cast<std::uint8_t>(back_ | fresh), order) & index);
    }

    // Reader: takes the latest published value, if it has not been taken yet.
    bool fetch() noexcept {
        if (!(middle_.load(std::memory_order_relaxed) & fresh)) return false;
        front_ = static_cast<std::uint8_t>(middle_.exchange(front_, order) & index);
        return true;
    }
    // Reader: the value taken last; before the first, one that is default-constructed.
    const T& reading() const noexcept { return buffers_[front_].value; }

  private:
    static constexpr std::uint8_t index = 3;
    static constexpr std::uint8_t fresh = 4;
    static constexpr std::memory_order order = std::memory_order_acq_rel;
    static constexpr std::size_t line = 64;  // of a cache; what the threads own lies on lines of their own

    struct alignas(line) Buffer {
        T value{};
    };

    Buffer buffers_[3];
    alignas(line) std::atomic<std::uint8_t> middle_{1};
    alignas(line) std::uint8_t back_ = 0;
    alignas(line) std::uint8_t front_ = 2;
};

// Actions to be executed one after the other, as a policy hands them over.
template <std::size_t Rows, std::size_t Channels>
struct Chunk {
    std::uint64_t sequence = 0;  // of the chunk, from 1
    double stamp = 0.0;          // when it was made, in seconds of a monotonic clock
    std::size_t rows = 0;
    std::size_t channels = 0;
    double values[Rows * Channels] = {};  // row-major rows x channels

    const double* row(std::size_t k) const noexcept { return values + k * channels; }
    double* row(std::size_t k) noexcept { return values + k * channels; }
};

}  // namespace execspec::guard
