// A guard image in memory, for tests: laid out from image.hpp's comments, so that the loader meets a second writer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "execspec/guard/image.hpp"

namespace guard_image {

using execspec::Op;
using execspec::OpDType;
using execspec::OpKind;
using namespace execspec::guard;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double epsilon = std::numeric_limits<double>::epsilon();

inline Op op(OpKind kind, double a = 0, double b = 0, double c = 0, double d = 0) {
    return {kind, 0, OpDType::same, {a, b, c, d}};
}

// One channel: ops as the spec applies them, and the clamped line that they make, if they make one.
struct Axis {
    std::string name = "x";
    std::string unit = "m";
    std::vector<Op> ops;
    bool is_line = true;
    double scale = 1, offset = 0, floor = -infinity, ceiling = infinity;
    double low = -1, high = 1, margin = 0, jump = infinity, walk = infinity;
    bool relative = true;
    std::vector<double> values;
};

// u in [-1, 1], clipped, to [q01, q99]: no eps, so that the line's figures are known here without rounding analysis.
inline Axis between(const std::string& name, double q01, double q99) {
    Axis axis;
    axis.name = name;
    axis.ops = {op(OpKind::clip, -1, 1), op(OpKind::endpoint, q01, q99, 0)};
    axis.scale = (q99 - q01) / 2;
    axis.offset = q01 + axis.scale;
    axis.floor = axis.low = q01;
    axis.ceiling = axis.high = q99;
    return axis;
}

// -1 below the threshold, +1 from it on.
inline Axis gripper(const std::string& name, double threshold) {
    Axis axis;
    axis.name = name;
    axis.unit = "";
    axis.ops = {op(OpKind::step, threshold, -1, 1, 1), op(OpKind::identity)};
    axis.is_line = false;
    axis.relative = false;
    axis.values = {-1, 1};
    return axis;
}

// A sibling: one line per channel of a row.
struct Sibling {
    std::string name;
    std::uint8_t tag;  // fills its digest
    std::vector<Axis> axes;
};

struct WatchAxis {
    std::string name = "x";
    std::string unit = "m";
    double low = -1, high = 1, velocity = 1, acceleration = 10, jerk = 1000;
};

inline Digest digest_of(std::uint8_t tag) {
    Digest digest;
    std::memset(digest.bytes, tag, sizeof digest.bytes);
    return digest;
}

// CRC-32 of IEEE 802.3, one bit at a time.
inline std::uint32_t crc32(const unsigned char* bytes, std::size_t size) {
    std::uint32_t crc = ~0u;
    for (std::size_t k = 0; k < size; ++k) {
        crc ^= bytes[k];
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1u ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

// Aligned as a loader asks.
class Bytes {
  public:
    explicit Bytes(std::size_t size) : words_((size + 7) / 8), size_(size) {}
    unsigned char* data() { return reinterpret_cast<unsigned char*>(words_.data()); }
    const unsigned char* data() const { return reinterpret_cast<const unsigned char*>(words_.data()); }
    std::size_t size() const { return size_; }
    Header& header() { return *reinterpret_cast<Header*>(words_.data()); }
    void seal() {
        header().checksum = 0;
        header().checksum = crc32(data(), size_);
    }

  private:
    std::vector<std::uint64_t> words_;
    std::size_t size_;
};

struct Parts {
    Mode mode = Mode::enforce;
    std::string spec = "checkpoint:key";
    std::string stage = "command";
    std::string source = "certificate.json";
    std::uint8_t tag = 7;  // fills the digest
    std::uint32_t steps = 1;
    OpDType u_dtype = OpDType::float64;
    OpDType a_dtype = OpDType::float64;
    std::uint32_t latch_faults = 3;
    std::uint32_t latch_steps = 10;
    double max_age = infinity;
    double watch_max_age = infinity;
    double watch_max_dt = 0.1;
    std::uint32_t watch_order = 0;
    bool watch_stops = true;
    std::vector<Axis> axes = {between("x", -0.5, 0.5), between("y", -0.25, 0.75), gripper("gripper", 0)};  // per column
    std::vector<Sibling> siblings;
    std::vector<WatchAxis> watch = {WatchAxis{}};

    Bytes build() const;
};

namespace detail {

inline std::size_t section(std::size_t size) { return (size + 63) / 64 * 64; }
inline std::uint32_t lanes(std::size_t n) { return static_cast<std::uint32_t>((n + lane - 1) / lane * lane); }

class Texts {
  public:
    Text operator()(const std::string& text) {
        const Text entry{static_cast<std::uint32_t>(all_.size()), static_cast<std::uint32_t>(text.size())};
        all_ += text;
        all_ += '\0';
        return entry;
    }
    const std::string& all() const { return all_; }

  private:
    std::string all_;
};

inline double channel_scale(const Axis& axis) {
    const auto at = [&](double u) {
        return std::min(std::max(axis.scale * u + axis.offset, axis.floor), axis.ceiling);
    };
    const double lo = axis.is_line ? at(-1) : -1, hi = axis.is_line ? at(1) : 1;
    return std::max({std::fabs(lo), std::fabs(hi), std::fabs(hi - lo), std::numeric_limits<double>::min()});
}

}  // namespace detail

inline Bytes Parts::build() const {
    using detail::section;
    const std::size_t columns = axes.size(), channels = columns / steps;
    const std::size_t stages = axes.front().ops.size(), candidates = 1 + siblings.size();
    const double eps = u_dtype == OpDType::float32 || a_dtype == OpDType::float32 ? 0x1p-23 : epsilon;
    detail::Texts texts;

    Header header{};
    std::memcpy(header.magic, "EXECSPEC", 8);
    header.endian = 0x01020304;
    header.version = 1;
    header.mode = static_cast<std::uint32_t>(mode);
    header.digest = digest_of(tag);
    header.spec = texts(spec);
    header.stage = texts(stage);
    header.source = texts(source);
    header.channels = static_cast<std::uint32_t>(channels);
    header.steps = steps;
    header.stages = static_cast<std::uint32_t>(stages);
    const std::size_t width = detail::lanes(channels);
    header.columns = static_cast<std::uint32_t>(width * steps);
    header.candidates = static_cast<std::uint32_t>(candidates);
    header.lanes = detail::lanes(candidates);
    header.u_dtype = u_dtype;
    header.a_dtype = a_dtype;
    header.watch_channels = static_cast<std::uint32_t>(watch.size());
    header.watch_order = watch_order;
    header.watch_stops = watch_stops;
    header.latch_faults = latch_faults;
    header.latch_steps = latch_steps;
    header.max_age = max_age;
    header.max_age_source = texts("user");
    header.watch_max_age = watch_max_age;
    header.watch_max_dt = watch_max_dt;
    header.watch_source = texts("user");

    std::vector<Op> ops(stages * columns);
    std::vector<Channel> channel(channels);
    std::vector<double> column(static_cast<std::size_t>(Column::count) * header.columns);
    std::vector<double> line(columns * static_cast<std::size_t>(Line::count) * header.lanes);
    std::vector<Candidate> candidate = {{texts(spec), header.digest}};
    std::vector<WatchChannel> watches(watch.size());

    const auto number = [&](Column which, std::size_t d) -> double& {
        const std::size_t c = d / channels * width + d % channels;
        return column[(c / lane * static_cast<std::size_t>(Column::count) + static_cast<std::size_t>(which)) * lane +
                      c % lane];
    };
    const auto write_line = [&](std::size_t k, const std::vector<Axis>& of) {
        for (std::size_t d = 0; d < columns; ++d) {
            double* row = line.data() + d * static_cast<std::size_t>(Line::count) * header.lanes + k;
            const Axis& axis = of[d];
            const double numbers[] = {axis.scale, axis.offset, axis.floor, axis.ceiling,
                                      axis.is_line ? 1 / (12 * eps * detail::channel_scale(axis)) : 0.0};
            for (std::size_t n = 0; n < static_cast<std::size_t>(Line::count); ++n) row[n * header.lanes] = numbers[n];
        }
    };
    for (std::size_t k = 0; k < column.size(); ++k) {  // the padding passes zeros
        const auto which = static_cast<Column>(k / lane % static_cast<std::size_t>(Column::count));
        if (which == Column::jump || which == Column::walk) column[k] = infinity;
    }
    for (std::size_t d = 0; d < columns; ++d) {
        const Axis& axis = axes[d];
        for (std::size_t k = 0; k < stages; ++k) ops[k * columns + d] = axis.ops[k];
        number(Column::scale, d) = axis.scale;
        number(Column::offset, d) = axis.offset;
        number(Column::floor, d) = axis.floor;
        number(Column::ceiling, d) = axis.ceiling;
        number(Column::tolerance, d) = 8 * eps * detail::channel_scale(axis);
        number(Column::near, d) = axis.is_line ? 4 * eps * detail::channel_scale(axis) : -1;
        number(Column::low, d) = axis.low;
        number(Column::high, d) = axis.high;
        number(Column::margin, d) = axis.margin;
        number(Column::middle, d) = axis.low + (axis.high - axis.low) / 2;
        number(Column::inverse, d) = axis.high > axis.low ? 2 / (axis.high - axis.low) : 0.0;
        number(Column::jump, d) = axis.jump;
        number(Column::walk, d) = axis.walk;
    }
    for (std::size_t d = 0; d < channels; ++d) {
        const Axis& axis = axes[d];
        channel[d] = {texts(axis.name),
                      texts(axis.unit),
                      texts("/channels/" + std::to_string(d)),
                      texts("default"),
                      texts("user"),
                      texts("user"),
                      axis.relative,
                      static_cast<std::uint32_t>(axis.values.size()),
                      {0, 0, 0}};
        std::copy(axis.values.begin(), axis.values.end(), channel[d].value);
    }
    write_line(0, axes);
    for (std::size_t k = 0; k < siblings.size(); ++k) {
        candidate.push_back({texts(siblings[k].name), digest_of(siblings[k].tag)});
        write_line(k + 1, siblings[k].axes);
    }
    for (std::size_t d = 0; d < watch.size(); ++d) {
        const WatchAxis& axis = watch[d];
        watches[d] = {
            texts(axis.name),  texts(axis.unit), {texts("user"), texts("user"), texts("user"), texts("default")},
            axis.low,          axis.high,        axis.velocity,
            axis.acceleration, axis.jerk};
    }

    std::size_t at = section(sizeof header);
    const auto place = [&](std::uint64_t& field, std::size_t size) {
        field = at;
        at += section(size);
    };
    place(header.ops, ops.size() * sizeof(Op));
    place(header.channel, channel.size() * sizeof(Channel));
    place(header.column, column.size() * sizeof(double));
    place(header.line, line.size() * sizeof(double));
    place(header.candidate, candidate.size() * sizeof(Candidate));
    place(header.watch_channel, watches.size() * sizeof(WatchChannel));
    header.texts_size = texts.all().size();
    place(header.texts, texts.all().size());
    header.size = at;

    Bytes bytes(at);
    const auto copy = [&](std::uint64_t to, const void* from, std::size_t size) {
        if (size > 0) std::memcpy(bytes.data() + to, from, size);
    };
    copy(0, &header, sizeof header);
    copy(header.ops, ops.data(), ops.size() * sizeof(Op));
    copy(header.channel, channel.data(), channel.size() * sizeof(Channel));
    copy(header.column, column.data(), column.size() * sizeof(double));
    copy(header.line, line.data(), line.size() * sizeof(double));
    copy(header.candidate, candidate.data(), candidate.size() * sizeof(Candidate));
    copy(header.watch_channel, watches.data(), watches.size() * sizeof(WatchChannel));
    copy(header.texts, texts.all().data(), texts.all().size());
    bytes.seal();
    return bytes;
}

}  // namespace guard_image
