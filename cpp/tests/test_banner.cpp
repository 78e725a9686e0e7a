// What is printed: every limit with its unit and source, what is not checked, and the fault in its own figures.
#include <cmath>
#include <string>
#include <vector>

#include "check.hpp"
#include "execspec/guard.hpp"
#include "guard_image.hpp"

using namespace execspec::guard;
using guard_image::Bytes;
using guard_image::Parts;

namespace {

std::string banner_of(const Parts& parts) {
    const Bytes bytes = parts.build();
    Image image;
    CHECK(image.load(bytes.data(), bytes.size()) == LoadStatus::ok);
    std::vector<char> out(1 << 16);
    const std::size_t size = banner(image, out.data(), out.size());
    CHECK(std::string(out.data()).size() == size);
    return out.data();
}

template <class Guarding>
std::string explained(const Guarding& guarding, std::uint32_t faults) {
    std::vector<char> out(1 << 16);
    explain(guarding, faults, out.data(), out.size());
    return out.data();
}

bool has(const std::string& text, const std::string& part) {
    const bool found = text.find(part) != std::string::npos;
    if (!found) std::fprintf(stderr, "no '%s' in:\n%s", part.c_str(), text.c_str());
    return found;
}

void it_says_what_is_checked() {
    Parts parts;
    parts.max_age = 0.25;
    parts.axes[0].jump = 0.125;
    parts.axes[0].margin = 0.0625;
    parts.siblings = {{"sibling", 9, parts.axes}};
    const std::string text = banner_of(parts);
    CHECK(has(text, "mode enforce"));
    CHECK(has(text, "spec checkpoint:key, stage command, from certificate.json"));
    CHECK(has(text, "digest 07070707"));
    CHECK(has(text, "3 others within 10 steps"));
    CHECK(has(text, "1 sibling"));
    CHECK(has(text, "age <= 0.25 s (user)"));
    CHECK(has(text, "x (delta): envelope [-0.5, 0.5] m (/channels/0) and 0.0625 beyond it"));
    CHECK(has(text, "jump <= 0.125 m (user)"));
    CHECK(has(text, "walk not checked"));
    CHECK(has(text, "gripper (absolute): envelope [-1, 1] (/channels/2)"));
    CHECK(has(text, "commands -1 or 1"));
    CHECK(has(text, "watch: writes a stop"));
    CHECK(has(text, "commands are positions, dt <= 0.1 s (user), age not checked"));
    CHECK(has(text,
              "x: position [-1, 1] m (user), velocity <= 1 m/s (user), acceleration <= 10 m/s^2 (user), "
              "jerk <= 1000 m/s^3 (default)"));
}

void it_says_what_is_not() {
    Parts parts;
    parts.mode = Mode::observe;
    parts.watch_stops = false;
    parts.watch_order = 1;
    parts.watch[0].low = -guard_image::infinity;
    parts.watch[0].high = guard_image::infinity;
    parts.watch[0].jerk = guard_image::infinity;
    const std::string text = banner_of(parts);
    CHECK(has(text, "mode observe"));
    CHECK(has(text, "gives verdicts only and writes nothing, commands are velocities"));
    CHECK(has(text, "x: position not checked, velocity <= 1 m/s (user)"));
    CHECK(has(text, "jerk not checked"));
    parts.watch.clear();
    CHECK(has(banner_of(parts), "watch: none"));
}

// As snprintf: what does not fit is cut, and the size is that of the whole.
void it_stays_in_its_buffer() {
    const Bytes bytes = Parts{}.build();
    Image image;
    CHECK(image.load(bytes.data(), bytes.size()) == LoadStatus::ok);
    const std::string whole = banner_of(Parts{});
    for (std::size_t room = 0; room <= whole.size() + 1; ++room) {
        std::vector<char> out(room);
        CHECK(banner(image, out.data(), room) == whole.size());
        if (room > 0) CHECK(whole.substr(0, room - 1) == out.data());
    }
    CHECK(banner(Image{}, nullptr, 0) == 0);
}

void faults_are_explained() {
    const Bytes bytes = Parts{}.build();
    static Gate gate;
    CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    const double u[3] = {0, 0, 1};
    double a[3] = {0, 0.5, 1};
    std::string text = explained(gate, gate.step({u, 3}, {a, 3}).faults);
    CHECK(has(text,
              "mismatch: the action is not what the spec makes of u; step 1, row 0, channel y: 0.5 m against "
              "0.25 m (default)\n"));
    CHECK(text.find('\n') + 1 == text.size());
    a[1] = 1.5;
    text = explained(gate, gate.step({u, 3}, {a, 3}).faults);
    CHECK(has(text, "envelope: "));
    CHECK(has(text, "channel y: 1.5 m against 0.75 m (/channels/1)\n"));
    a[1] = std::nan("");
    text = explained(gate, gate.step({u, 3}, {a, 3}).faults);
    CHECK(has(text, "not_finite: a value is NaN or infinite; step 3, row 0, channel y: nan m\n"));
    CHECK(has(text, "latched: "));

    static Watch watch;
    CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    const double zero = 0.0, far = 0.5, nan = std::nan("");
    CHECK(watch.start(&zero));
    text = explained(watch, watch.step({&far, 1}, 0.05).faults);
    CHECK(has(text, "velocity: the command is faster than allowed; step 1, channel x: 10 m/s against 1 m/s (user)\n"));
    CHECK(has(text, "jerk: the command's acceleration changes faster than allowed; step 1, channel x: 4000"));
    CHECK(has(text, " m/s^3 against 1000 m/s^3 (default)\n"));
    text = explained(watch, watch.step({&zero, 1}, 2.0).faults);
    CHECK(has(text, "period: dt is not positive, or longer than allowed; step 2: 2 s against 0.1"));
    text = explained(watch, watch.step({&nan, 1}, 0.1).faults);
    CHECK(has(text, "channel x: nan m\n"));
    CHECK(explained(watch, 0).empty());
    CHECK(has(explained(Watch{}, Fault::digest), "digest: "));
}

}  // namespace

int main() {
    it_says_what_is_checked();
    it_says_what_is_not();
    it_stays_in_its_buffer();
    faults_are_explained();
    return 0;
}
