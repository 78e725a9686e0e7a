// A policy at 10 Hz and a control loop at 1 kHz under the guard: consumer IMAGE [SECONDS]
//
// One thread owns the gate, one the watch; only the slot is shared. All memory is taken before the loop starts, and all
// text is printed after it ended.
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "execspec/guard.hpp"

namespace guard = execspec::guard;

namespace {

constexpr double policy_period = 0.1;
constexpr double loop_period = 0.001;
constexpr std::size_t capacity = 64;
constexpr double longest = 86400.0;  // seconds to run, all of whose durations are kept

using Actions = guard::Chunk<capacity, guard::max_channels>;

timespec to_timespec(double seconds) {
    const double whole = std::floor(seconds);
    return {static_cast<time_t>(whole), static_cast<long>(1e9 * (seconds - whole))};
}

double clock_now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void sleep_until(double time) {
    const timespec t = to_timespec(time);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) continue;
}

// Seconds, kept in memory that was taken before.
class Durations {
  public:
    explicit Durations(std::size_t room) { values_.reserve(room); }
    void add(double seconds) {
        if (values_.size() < values_.capacity()) values_.push_back(seconds);
    }
    void print(const char* name) {
        if (values_.empty()) return;
        std::sort(values_.begin(), values_.end());
        const auto at = [&](double p) {
            return 1e6 * values_[static_cast<std::size_t>(p * static_cast<double>(values_.size() - 1))];
        };
        std::printf("%-12s %9.2f %9.2f %9.2f %9.2f us of %zu\n", name, at(0.5), at(0.99), at(0.999), at(1.0),
                    values_.size());
    }

  private:
    std::vector<double> values_;
};

// In the place of a policy and its un-normalizer: slow sines, and the spec's own U(u). A real one hands over the u that
// its network gave and the a that its own code made of it.
void infer(const guard::Gate& gate, double time, std::size_t rows, std::vector<double>& u, std::vector<double>& a) {
    const std::size_t channels = gate.image().channels();
    for (std::size_t k = 0; k < rows; ++k) {
        for (std::size_t d = 0; d < channels; ++d) {
            const double phase = time + policy_period * static_cast<double>(k);
            u[k * channels + d] = 0.5 * std::sin(phase + static_cast<double>(d));
        }
        const std::size_t step = gate.image().header().steps > 1 ? k : 0;
        gate.command(u.data() + k * channels, a.data() + k * channels, step);
    }
}

void policy(guard::Gate& gate, guard::Slot<Actions>& slot, const std::atomic<bool>& running, Durations& took) {
    const std::size_t channels = gate.image().channels();
    const std::size_t steps = gate.image().header().steps;
    const std::size_t rows = steps > 1 ? steps : 8;
    std::vector<double> u(rows * channels), a(rows * channels);
    const double start = clock_now();
    std::uint64_t sequence = 0;
    for (double next = start; running.load(std::memory_order_relaxed); next += policy_period) {
        sleep_until(next);
        const double stamp = clock_now();
        infer(gate, stamp - start, rows, u, a);
        const double before = clock_now();
        const guard::Decision decision = gate.accept({u.data(), u.size()}, {a.data(), a.size()}, 1, {stamp, before});
        took.add(clock_now() - before);
        if (!decision.passes()) continue;  // the loop goes on with what it has, and tells by its age
        Actions& chunk = slot.writing();
        chunk.sequence = ++sequence;
        chunk.stamp = stamp;
        chunk.rows = rows;
        chunk.channels = channels;
        std::memcpy(chunk.values, a.data(), a.size() * sizeof(double));
        slot.publish();
    }
}

// In the place of a controller: each channel of the watch follows the action channel of its number, smoothly, within
// the middle half of its range.
class Follower {
  public:
    explicit Follower(const guard::Image& image) : image_(image), stages_(3 * image.header().watch_channels) {
        for (std::size_t w = 0; w < image.header().watch_channels; ++w)
            for (std::size_t k = 0; k < 3; ++k) stages_[3 * w + k] = middle(w);
    }

    void step(const double* action, double dt, double* command) {
        for (std::size_t w = 0; w < image_.header().watch_channels; ++w) {
            const std::size_t d = std::min<std::size_t>(w, image_.channels() - 1);
            const double share =
                (action[d] - image_.number(guard::Column::middle, 0, d)) * image_.number(guard::Column::inverse, 0, d);
            double target = middle(w) + 0.25 * reach(w) * share;
            for (std::size_t k = 0; k < 3; ++k) target = stages_[3 * w + k] += (target - stages_[3 * w + k]) * dt / 0.3;
            command[w] = target;
        }
    }

    double middle(std::size_t w) const { return bounded(w) ? (channel(w).low + channel(w).high) / 2 : 0.0; }

  private:
    const guard::WatchChannel& channel(std::size_t w) const { return image_.watch_channel(w); }
    bool bounded(std::size_t w) const { return std::isfinite(channel(w).low) && std::isfinite(channel(w).high); }
    double reach(std::size_t w) const { return bounded(w) ? channel(w).high - channel(w).low : 0.1; }

    const guard::Image& image_;
    std::vector<double> stages_;  // three lags, one after the other
};

// Where commands would leave for the robot.
void send(const double* command, std::size_t channels) {
    volatile double wire = 0.0;
    for (std::size_t w = 0; w < channels; ++w) wire = command[w];
    (void)wire;
}

struct LoopReport {
    explicit LoopReport(std::size_t room) : took(room), late(room) {}
    Durations took;  // the watch's step and stop
    Durations late;  // how long after its time the loop woke
    std::uint64_t overruns = 0;
};

void control(guard::Watch& watch, guard::Slot<Actions>& slot, double seconds, LoopReport& report) {
    const std::size_t channels = watch.channels();
    Follower follower(watch.image());
    std::vector<double> command(channels), sent(channels), action(guard::max_channels, 0.0);
    for (std::size_t w = 0; w < channels; ++w) sent[w] = follower.middle(w);
    watch.start(sent.data());
    const double end = clock_now() + seconds;
    while (!slot.fetch()) {  // nothing moves before the first chunk
        if (clock_now() > end) return;
        sleep_until(clock_now() + loop_period);
    }
    double before = clock_now();
    for (double next = before + loop_period; next < end; next += loop_period) {
        sleep_until(next);
        const double now = clock_now();
        report.late.add(now - next);
        if (now - next > loop_period) {
            ++report.overruns;
            next = now;
        }
        slot.fetch();
        const Actions& chunk = slot.reading();
        const double age = std::max(now - chunk.stamp, 0.0);
        const auto row = std::min(static_cast<std::size_t>(age / policy_period), chunk.rows - 1);
        std::copy_n(chunk.row(row), chunk.channels, action.data());
        const double dt = now - before;
        before = now;
        follower.step(action.data(), dt, command.data());

        const double started = clock_now();
        const guard::Decision decision = watch.step({command.data(), channels}, dt, {chunk.stamp, now});
        if (!decision.passes()) {
            std::copy(sent.begin(), sent.end(), command.begin());  // hold, unless the watch writes a stop
            watch.stop(command.data(), dt);
        }
        report.took.add(clock_now() - started);
        send(command.data(), channels);
        std::copy(command.begin(), command.end(), sent.begin());
    }
}

std::string real_time(std::thread& loop) {
    sched_param priority{};
    priority.sched_priority = 50;
    const int refused = pthread_setschedparam(loop.native_handle(), SCHED_FIFO, &priority);
    const int unlocked = mlockall(MCL_CURRENT | MCL_FUTURE) ? errno : 0;
    return std::string("SCHED_FIFO 50: ") + (refused ? std::strerror(refused) : "yes") +
           ", locked memory: " + (unlocked ? std::strerror(unlocked) : "yes");
}

template <class Guarding>
void print_faults(const char* name, const Guarding& guarding) {
    const guard::Counters& counters = guarding.counters();
    std::printf("%s: %llu steps, %llu refused\n", name, static_cast<unsigned long long>(counters.steps),
                static_cast<unsigned long long>(counters.refused));
    std::uint32_t seen = 0;
    for (std::uint32_t bit = 0; bit < guard::fault_codes; ++bit) seen |= counters.faults[bit] ? 1u << bit : 0u;
    static char text[1 << 14];
    guard::explain(guarding, seen, text, sizeof text);
    std::printf("%s", text);
}

// The bytes of a file, aligned as an image must be.
std::vector<std::uint64_t> read_file(const char* path, std::size_t& size) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const std::streamoff end = file ? static_cast<std::streamoff>(file.tellg()) : 0;
    size = end > 0 && end < 1 << 26 ? static_cast<std::size_t>(end) : 0;
    std::vector<std::uint64_t> words((size + 7) / 8);
    file.seekg(0);
    file.read(reinterpret_cast<char*>(words.data()), static_cast<std::streamsize>(size));
    return words;
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 2 ? std::atof(argv[2]) : 10.0;
    if (argc < 2 || !(seconds > 0.0 && seconds <= longest)) {
        std::fprintf(stderr, "usage: consumer IMAGE [SECONDS], up to %.0f\n", longest);
        return 2;
    }
    std::size_t size = 0;
    const std::vector<std::uint64_t> image = read_file(argv[1], size);
    const auto gate = std::make_unique<guard::Gate>();
    const auto watch = std::make_unique<guard::Watch>();
    const auto slot = std::make_unique<guard::Slot<Actions>>();
    for (const guard::LoadStatus status : {gate->open(image.data(), size), watch->open(image.data(), size)}) {
        if (status == guard::LoadStatus::ok) continue;
        std::fprintf(stderr, "%s: %s\n", argv[1], guard::text_of(status));
        return 1;
    }
    if (gate->image().header().steps > capacity) {
        std::fprintf(stderr, "%s: chunks of more than %zu actions\n", argv[1], capacity);
        return 1;
    }
    static char text[1 << 16];
    guard::banner(gate->image(), text, sizeof text);
    std::printf("%s", text);

    LoopReport report(static_cast<std::size_t>(seconds / loop_period) + 1);
    Durations gate_took(static_cast<std::size_t>(seconds / policy_period) + 16);
    std::atomic<bool> running{true};
    std::thread thinking([&] { policy(*gate, *slot, running, gate_took); });
    std::thread looping([&] { control(*watch, *slot, seconds, report); });
    const std::string granted = real_time(looping);
    looping.join();
    running = false;
    thinking.join();

    std::printf("%s\n", granted.c_str());
    std::printf("%-12s %9s %9s %9s %9s\n", "", "p50", "p99", "p99.9", "max");
    gate_took.print("gate, chunk");
    report.took.print("watch");
    report.late.print("woke late");
    std::printf("overruns: %llu\n", static_cast<unsigned long long>(report.overruns));
    print_faults("gate", *gate);
    print_faults("watch", *watch);
    return 0;
}
