// The guard image: everything a gate and a watch check, as one block of bytes that is used where it lies.
//
// Written by python/execspec_fast/guarding/image.py, whose dtypes mirror these structs byte for byte. Little-endian;
// every section starts at a multiple of 64 bytes; numbers are float64. The checksum tells damage; it is no signature.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "execspec/guard/status.hpp"
#include "execspec/ops.hpp"

namespace execspec::guard {

constexpr std::size_t max_channels = 64;
constexpr std::size_t max_rows = 1024;  // of one chunk
constexpr std::size_t max_stages = 64;
constexpr std::size_t max_latch = 1000000;
constexpr std::size_t max_candidates = 64 + 1;
constexpr std::size_t lane = 8;  // columns and candidates are padded to a multiple

struct Digest {
    std::uint8_t bytes[32];
};

inline bool operator==(const Digest& a, const Digest& b) noexcept { return !std::memcmp(a.bytes, b.bytes, 32); }

// UTF-8 in the section of texts, followed by a zero byte.
struct Text {
    std::uint32_t at;
    std::uint32_t size;
};

// One channel of the action, the same in every time step of a chunk.
struct Channel {
    Text name;
    Text unit;
    Text envelope_source;
    Text tolerance_source;
    Text jump_source;
    Text walk_source;
    std::uint32_t relative;  // 1: a delta, held by zero; 0: absolute, held by the last action
    std::uint32_t values;    // a gripper's commands, 0 where its envelope is all that is known
    double value[3];
};
static_assert(sizeof(Channel) == 80, "part of the image");

// Numbers per column; a column is a channel of a time step, `step * width + channel`, where width is `channels` padded
// to lanes. A lane of columns lies together, number after number. Columns of the padding let 0 pass: an envelope and
// limits without end, scale and offset 0.
enum class Column : std::uint32_t {
    scale,      // the spec as a clamped line min(max(scale u + offset, floor), ceiling), correctly rounded
    offset,     //
    floor,      //
    ceiling,    //
    near,       // |a - line| <= near max(1, |u|) implies agreement with the ops; negative where there is no line
    tolerance,  // a agrees with U(u) if |a - U(u)| <= tolerance max(1, |u|)
    low,        // the envelope: image of the domain within the limits
    high,       //
    margin,     // how far outside passes, and is counted
    middle,     // of the envelope, and
    inverse,    // 1 / half its width: |a - middle| inverse is 1 at the limit; 0 where that is no number
    jump,       // |a - previous|
    walk,       // |sum of the deltas|; infinite where none is kept
    count
};

// A candidate of attribution as a clamped line, one row of lanes per column and number.
enum class Line : std::uint32_t {
    scale,
    offset,
    floor,
    ceiling,
    evidence,  // 1 / tolerance; 0 where the candidate's channel is no clamped line and says nothing
    count
};

struct Candidate {
    Text name;
    Digest digest;
};
static_assert(sizeof(Candidate) == 40, "part of the image");

// One channel of the watch's own space.
struct WatchChannel {
    Text name;
    Text unit;       // of the position
    Text source[4];  // of position, velocity, acceleration, jerk
    double low;
    double high;
    double velocity;  // per second, and so on
    double acceleration;
    double jerk;
};
static_assert(sizeof(WatchChannel) == 88, "part of the image");

struct Header {
    char magic[8];           // "EXECSPEC"
    std::uint32_t endian;    // 0x01020304
    std::uint32_t version;   // 1
    std::uint64_t size;      // of the image in bytes
    std::uint32_t checksum;  // CRC-32 (IEEE 802.3) of the image with this field zero
    std::uint32_t mode;
    Digest digest;  // the spec's
    Text spec;
    Text stage;   // where `a` is taken: `unnormalized` or `command`
    Text source;  // the certificate it was built from, or `user`
    std::uint32_t channels;
    std::uint32_t steps;       // time steps of the figures; 1: every row of a chunk is treated alike
    std::uint32_t stages;      // of the op table
    std::uint32_t columns;     // width * steps
    std::uint32_t candidates;  // the spec itself first, then its siblings
    std::uint32_t lanes;       // candidates, padded
    OpDType u_dtype;           // in which the ops begin
    OpDType a_dtype;           // to which the result is rounded
    std::uint32_t watch_channels;
    std::uint32_t watch_order;   // 0: commands are positions, 1: velocities
    std::uint32_t watch_stops;   // 1: the watch writes a stop
    std::uint32_t latch_faults;  // so many soft faults
    std::uint32_t latch_steps;   // within so many steps latch
    double max_age;              // of an action, s; infinite: not checked
    Text max_age_source;
    double watch_max_age;
    double watch_max_dt;
    Text watch_source;            // of the two above
    std::uint64_t ops;            // sections, in bytes from the start: Op[stages][channels * steps]
    std::uint64_t channel;        // Channel[channels]
    std::uint64_t column;         // double[columns / lane][Column::count][lane]
    std::uint64_t line;           // double[channels * steps][Line::count][lanes]
    std::uint64_t candidate;      // Candidate[candidates]
    std::uint64_t watch_channel;  // WatchChannel[watch_channels]
    std::uint64_t texts;
    std::uint64_t texts_size;
};
static_assert(sizeof(Header) == 240, "part of the image");

constexpr std::size_t padded(std::size_t n) { return (n + lane - 1) / lane * lane; }

}  // namespace execspec::guard
