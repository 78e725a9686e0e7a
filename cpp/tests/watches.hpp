// A watch over one axis, opened from an image made here.
#pragma once

#include <limits>

#include "check.hpp"
#include "execspec/guard/watch.hpp"
#include "guard_image.hpp"

using namespace execspec::guard;
using guard_image::Bytes;
using guard_image::Parts;
using guard_image::WatchAxis;

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Opened {
    explicit Opened(const Parts& parts) : bytes(parts.build()) {
        CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    }
    Decision step(double command, double dt, Time time = no_time) { return watch.step({&command, 1}, dt, time); }
    void executed(double command, double dt) { watch.executed(&command, dt); }
    bool start(double position) { return watch.start(&position); }
    Bytes bytes;
    Watch watch;
};

inline Parts one(const WatchAxis& axis) {
    Parts parts;
    parts.watch = {axis};
    parts.watch_stops = false;
    return parts;
}
