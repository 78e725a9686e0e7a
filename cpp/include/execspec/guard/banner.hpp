// What a gate and a watch are set to, and what a fault was, in words. For start-up and for after the step: it calls
// snprintf, and has no place in a real-time loop.
#pragma once

#include <cinttypes>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "execspec/guard/bits.hpp"
#include "execspec/guard/gate.hpp"
#include "execspec/guard/image.hpp"
#include "execspec/guard/ledger.hpp"
#include "execspec/guard/status.hpp"
#include "execspec/guard/watch.hpp"

namespace execspec::guard {

namespace detail {

// Text into a caller's buffer, as snprintf cuts it; `size` is what all of it takes, without the zero byte.
class Writer {
  public:
    Writer(char* out, std::size_t room) noexcept : out_(out), room_(room) {
        if (room_ > 0) out_[0] = '\0';
    }

    __attribute__((format(printf, 2, 3))) void add(const char* format, ...) noexcept {
        std::va_list arguments;
        va_start(arguments, format);
        const bool full = size_ >= room_;
        const int n = std::vsnprintf(full ? nullptr : out_ + size_, full ? 0 : room_ - size_, format, arguments);
        va_end(arguments);
        if (n > 0) size_ += static_cast<std::size_t>(n);
    }

    std::size_t size() const noexcept { return size_; }

  private:
    char* out_;
    std::size_t room_;
    std::size_t size_ = 0;
};

constexpr const char* mode_name[] = {"observe", "warn", "enforce"};
constexpr const char* mode_meaning[] = {"everything passes; faults are counted",
                                        "everything passes; faults are counted and announced",
                                        "what is refused is not executed"};

inline const char* gap(const char* unit) noexcept { return unit[0] ? " " : ""; }

inline const char* per_second(Fault code) noexcept {
    return code == Fault::velocity ? "/s" : code == Fault::acceleration ? "/s^2" : code == Fault::jerk ? "/s^3" : "";
}

// `<= 0.25 m (user)`, or that nothing is checked.
inline void bound(Writer& text, const char* name, double limit, const char* unit, const char* per,
                  const char* source) noexcept {
    if (!is_finite(limit)) return text.add(", %s not checked", name);
    text.add(", %s <= %.6g%s%s%s (%s)", name, limit, gap(unit), unit, per, source);
}

inline void interval(Writer& text, double low, double high, const char* unit, const char* source) noexcept {
    if (!is_finite(low) && !is_finite(high)) return text.add(" not checked");
    text.add(" [%.6g, %.6g]%s%s (%s)", low, high, gap(unit), unit, source);
}

// What a fault is about: the channel, the unit of its numbers, and where its limit is from.
struct Subject {
    const char* channel = "";
    const char* unit = "";
    const char* source = "";
};

inline Subject subject(const Image& image, bool watched, Fault code, std::size_t d) noexcept {
    const Header& h = image.header();
    const auto text = [&](Text t) { return image.text(t); };
    if (code == Fault::stale) return {"", "s", text(watched ? h.watch_source : h.max_age_source)};
    if (code == Fault::period) return {"", "s", text(h.watch_source)};
    if (code == Fault::length) return {"", watched ? "values" : "values or rows", text(h.source)};
    if (watched) {
        if (d >= h.watch_channels) return {};
        const WatchChannel& c = image.watch_channel(d);
        const std::size_t quantity = code == Fault::velocity       ? 1
                                     : code == Fault::acceleration ? 2
                                     : code == Fault::jerk         ? 3
                                                                   : 0;
        return {text(c.name), text(c.unit), text(c.source[quantity])};
    }
    if (d >= image.channels()) return {};
    const Channel& c = image.channel(d);
    const Text source = code == Fault::envelope ? c.envelope_source
                        : code == Fault::jump   ? c.jump_source
                        : code == Fault::walk   ? c.walk_source
                                                : c.tolerance_source;
    return {text(c.name), text(c.unit), text(source)};
}

template <class Guarding>
std::size_t explain(const Guarding& guarding, bool watched, std::uint32_t faults, char* out,
                    std::size_t room) noexcept {
    Writer text(out, room);
    const Image& image = guarding.image();
    for (std::size_t bit = 0; bit < fault_codes; ++bit) {
        const std::uint32_t code = faults & 1u << bit;
        if (!code) continue;
        text.add("%s: %s", fault_info[bit].name, fault_info[bit].meaning);
        const Record& record = guarding.record(bit);
        if (image.loaded() && record.step > 0) {
            const auto fault = static_cast<Fault>(code);
            const Subject about = subject(image, watched, fault, record.channel);
            const char* per = per_second(fault);
            text.add("; step %" PRIu64, record.step);
            if (!watched) text.add(", row %" PRIu32, record.row);
            if (about.channel[0]) text.add(", channel %s", about.channel);
            text.add(": %.17g%s%s%s", record.value, gap(about.unit), about.unit, per);
            if (fault != Fault::not_finite)
                text.add(" against %.17g%s%s%s (%s)", record.limit, gap(about.unit), about.unit, per, about.source);
        }
        text.add("\n");
    }
    return text.size();
}

}  // namespace detail

// The banner to print at start-up: mode, spec, digest, stage, every limit with its unit and source, what is not
// checked, and whether the watch writes commands. Returns the characters that all of it takes; as with snprintf, less
// is written where `room` is not larger. Nothing for an image that is not loaded.
inline std::size_t banner(const Image& image, char* out, std::size_t room) noexcept {
    detail::Writer text(out, room);
    if (!image.loaded()) return text.size();
    const Header& h = image.header();
    text.add("execspec guard: mode %s: %s\n", detail::mode_name[h.mode], detail::mode_meaning[h.mode]);
    text.add("  spec %s, stage %s, from %s\n  digest ", image.text(h.spec), image.text(h.stage), image.text(h.source));
    for (const std::uint8_t byte : h.digest.bytes) text.add("%02x", byte);
    text.add("\n  latch: a hard fault at once; %" PRIu32 " others within %" PRIu32 " steps\n", h.latch_faults,
             h.latch_steps);
    text.add("  gate: %" PRIu32 " channels", h.channels);
    if (h.steps > 1) text.add(" in each of %" PRIu32 " time steps, of which the widest is given", h.steps);
    if (h.candidates > 1)
        text.add(", told apart from %" PRIu32 " sibling%s", h.candidates - 1, &"s"[h.candidates == 2]);
    detail::bound(text, "age", h.max_age, "s", "", image.text(h.max_age_source));
    text.add("\n");
    for (std::size_t d = 0; d < h.channels; ++d) {
        const Channel& c = image.channel(d);
        const char* unit = image.text(c.unit);
        const auto number = [&](Column k, bool lowest) {
            double found = image.number(k, 0, d);
            for (std::size_t t = 1; t < h.steps; ++t) {
                const double x = image.number(k, t, d);
                if (lowest ? x < found : x > found) found = x;
            }
            return found;
        };
        text.add("    %s (%s): envelope", image.text(c.name), c.relative ? "delta" : "absolute");
        detail::interval(text, number(Column::low, true), number(Column::high, false), unit,
                         image.text(c.envelope_source));
        const double margin = number(Column::margin, false);
        if (margin > 0.0) text.add(" and %.6g beyond it", margin);
        detail::bound(text, "agreement", number(Column::tolerance, false), unit, "", image.text(c.tolerance_source));
        detail::bound(text, "jump", number(Column::jump, false), unit, "", image.text(c.jump_source));
        if (c.relative) detail::bound(text, "walk", number(Column::walk, false), unit, "", image.text(c.walk_source));
        for (std::size_t k = 0; k < c.values; ++k) text.add("%s%.6g", k ? " or " : ", commands ", c.value[k]);
        text.add("\n");
    }
    if (h.watch_channels == 0) {
        text.add("  watch: none\n");
        return text.size();
    }
    text.add(
        "  watch: %s, commands are %s",
        h.watch_stops ? "writes a stop in the place of a refused command" : "gives verdicts only and writes nothing",
        h.watch_order ? "velocities" : "positions");
    detail::bound(text, "dt", h.watch_max_dt, "s", "", image.text(h.watch_source));
    detail::bound(text, "age", h.watch_max_age, "s", "", image.text(h.watch_source));
    text.add("\n");
    for (std::size_t d = 0; d < h.watch_channels; ++d) {
        const WatchChannel& c = image.watch_channel(d);
        const char* unit = image.text(c.unit);
        text.add("    %s: position", image.text(c.name));
        detail::interval(text, c.low, c.high, unit, image.text(c.source[0]));
        detail::bound(text, "velocity", c.velocity, unit, "/s", image.text(c.source[1]));
        detail::bound(text, "acceleration", c.acceleration, unit, "/s^2", image.text(c.source[2]));
        detail::bound(text, "jerk", c.jerk, unit, "/s^3", image.text(c.source[3]));
        text.add("\n");
    }
    return text.size();
}

// One line per fault of a mask: its name and meaning, and of the latest occurrence the channel, value, limit, unit and
// where the limit is from. Returns what all of it takes, as `banner`.
inline std::size_t explain(const Gate& gate, std::uint32_t faults, char* out, std::size_t room) noexcept {
    return detail::explain(gate, false, faults, out, room);
}

// The same. The position or velocity of a watch that writes may be one that a stop would have come to.
inline std::size_t explain(const Watch& watch, std::uint32_t faults, char* out, std::size_t room) noexcept {
    return detail::explain(watch, true, faults, out, room);
}

}  // namespace execspec::guard
