// Reads a guard image where it lies: no allocation, no parsing, and nothing that is not whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "execspec/guard/bits.hpp"
#include "execspec/guard/layout.hpp"
#include "execspec/ops.hpp"

namespace execspec::guard {

enum class LoadStatus : std::uint32_t {
    ok,
    too_short,
    not_aligned,
    not_an_image,
    other_endian,
    other_version,
    damaged,
    malformed,
    no_watch,  // an image without limits for one
};

inline const char* text_of(LoadStatus status) noexcept {
    switch (status) {
        case LoadStatus::ok:
            return "a guard image";
        case LoadStatus::too_short:
            return "a truncated guard image";
        case LoadStatus::not_aligned:
            return "a guard image that is not aligned to 8 bytes";
        case LoadStatus::not_an_image:
            return "not a guard image";
        case LoadStatus::other_endian:
            return "a guard image of another byte order";
        case LoadStatus::other_version:
            return "a guard image of another version; build it again with this program";
        case LoadStatus::damaged:
            return "a damaged guard image: its checksum or size does not hold";
        case LoadStatus::malformed:
            return "a guard image whose contents contradict each other";
        case LoadStatus::no_watch:
            return "a guard image without limits of a watch";
    }
    return "";
}

// CRC-32 (IEEE 802.3, as zlib's) of n bytes, those of [hole, hole + 4) read as zero.
inline std::uint32_t checksum(const std::uint8_t* bytes, std::size_t n, std::size_t hole) noexcept {
    std::uint32_t table[16];
    for (std::uint32_t i = 0; i < 16; ++i) {
        table[i] = i;
        for (int k = 0; k < 4; ++k) table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0xedb88320u : 0u);
    }
    std::uint32_t crc = ~0u;
    for (std::size_t i = 0; i < n; ++i) {
        crc ^= i - hole < 4 ? 0u : bytes[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

// A view of an image in memory that outlives it and does not change.
class Image {
  public:
    // Refuses what is not whole, and numbers that no limit can be.
    LoadStatus load(const void* image, std::size_t size) noexcept {
        const LoadStatus status = read(static_cast<const std::uint8_t*>(image), size);
        if (status != LoadStatus::ok) *this = Image{};
        return status;
    }

    bool loaded() const noexcept { return bytes_ != nullptr; }
    const Header& header() const noexcept { return header_; }
    std::size_t channels() const noexcept { return header_.channels; }
    std::size_t width() const noexcept { return padded(header_.channels); }

    // The ops of a column's channel; stages are `op_stride` apart.
    const Op* ops(std::size_t step, std::size_t d) const noexcept {
        return at<Op>(header_.ops) + step * channels() + d;
    }
    std::size_t op_stride() const noexcept { return channels() * header_.steps; }

    const Channel& channel(std::size_t d) const noexcept { return at<Channel>(header_.channel)[d]; }
    // The numbers of a column, each `lane` behind the one before; those of its neighbours up to the next multiple of
    // `lane` follow each.
    const double* column(std::size_t step, std::size_t d) const noexcept {
        const std::size_t c = step * width() + d;
        return at<double>(header_.column) + c / lane * (lane * static_cast<std::size_t>(Column::count)) + c % lane;
    }
    double number(Column k, std::size_t step, std::size_t d) const noexcept {
        return column(step, d)[static_cast<std::size_t>(k) * lane];
    }
    const double* line(std::size_t step, std::size_t d, Line number) const noexcept {
        const std::size_t row = (step * channels() + d) * static_cast<std::size_t>(Line::count);
        return at<double>(header_.line) + (row + static_cast<std::size_t>(number)) * header_.lanes;
    }
    const Candidate& candidate(std::size_t k) const noexcept { return at<Candidate>(header_.candidate)[k]; }
    const WatchChannel& watch_channel(std::size_t d) const noexcept {
        return at<WatchChannel>(header_.watch_channel)[d];
    }
    // Ends with a zero byte.
    const char* text(Text text) const noexcept { return at<char>(header_.texts) + text.at; }

  private:
    LoadStatus read(const std::uint8_t* bytes, std::size_t size) noexcept {
        if (!bytes || size < sizeof(Header)) return LoadStatus::too_short;
        if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(Header)) return LoadStatus::not_aligned;
        std::memcpy(&header_, bytes, sizeof header_);
        if (std::memcmp(header_.magic, "EXECSPEC", 8)) return LoadStatus::not_an_image;
        if (header_.endian != 0x01020304u) return LoadStatus::other_endian;
        if (header_.version != 1) return LoadStatus::other_version;
        if (header_.size > size) return LoadStatus::too_short;
        if (header_.size < size) return LoadStatus::damaged;
        if (checksum(bytes, size, offsetof(Header, checksum)) != header_.checksum) return LoadStatus::damaged;
        if (!counts_hold() || !sections_fit()) return LoadStatus::malformed;
        bytes_ = bytes;
        return numbers_hold() && texts_hold() ? LoadStatus::ok : LoadStatus::malformed;
    }

    template <class T>
    const T* at(std::uint64_t offset) const noexcept {
        return reinterpret_cast<const T*>(bytes_ + offset);
    }

    bool counts_hold() const noexcept {
        const Header& h = header_;
        const auto wide = [](OpDType t) { return t == OpDType::float32 || t == OpDType::float64; };
        return h.channels >= 1 && h.channels <= max_channels && h.steps >= 1 && h.steps <= max_rows &&
               h.stages <= max_stages && h.columns == padded(h.channels) * h.steps && h.candidates >= 1 &&
               h.candidates <= max_candidates && h.lanes == padded(h.candidates) && wide(h.u_dtype) &&
               wide(h.a_dtype) && h.mode <= static_cast<std::uint32_t>(Mode::enforce) &&
               h.watch_channels <= max_channels && h.watch_order <= 1 && h.watch_stops <= 1 && h.latch_faults >= 1 &&
               h.latch_faults <= max_latch && h.latch_steps >= 1 && h.latch_steps <= max_latch && limit(h.max_age) &&
               limit(h.watch_max_age) && limit(h.watch_max_dt);
    }

    bool sections_fit() const noexcept {
        const Header& h = header_;
        const std::uint64_t cells = std::uint64_t(h.channels) * h.steps;
        const auto fits = [&](std::uint64_t offset, std::uint64_t n, std::uint64_t size) {
            return offset % 64 == 0 && offset >= sizeof(Header) && offset <= h.size && n * size <= h.size - offset;
        };
        return fits(h.ops, cells * h.stages, sizeof(Op)) && fits(h.channel, h.channels, sizeof(Channel)) &&
               fits(h.column, std::uint64_t(Column::count) * h.columns, sizeof(double)) &&
               fits(h.line, cells * std::uint64_t(Line::count) * h.lanes, sizeof(double)) &&
               fits(h.candidate, h.candidates, sizeof(Candidate)) &&
               fits(h.watch_channel, h.watch_channels, sizeof(WatchChannel)) && h.texts_size <= h.size &&
               fits(h.texts, h.texts_size, 1);
    }

    // A limit may be infinite, where nothing is limited; it is never NaN, zero or negative.
    static bool limit(double x) noexcept { return !is_nan(x) && x > 0.0; }
    static bool amount(double x) noexcept { return is_finite(x) && x >= 0.0; }
    static bool range(double low, double high) noexcept { return !is_nan(low) && !is_nan(high) && low <= high; }

    bool numbers_hold() const noexcept {
        const std::size_t cells = channels() * header_.steps;
        for (std::size_t i = 0; i < cells * header_.stages; ++i) {
            const Op& op = at<Op>(header_.ops)[i];
            const auto kind = static_cast<std::int32_t>(op.kind);
            const auto dtype = static_cast<std::int16_t>(op.dtype);
            if (kind < 0 || kind >= op_kinds || dtype < 0 || dtype > 2) return false;
            for (const double p : op.p)
                if (is_nan(p) || (op.kind != OpKind::clip && !is_finite(p))) return false;
        }
        for (std::size_t c = 0; c < header_.columns; ++c) {
            const auto number = [&](Column k) { return this->number(k, c / width(), c % width()); };
            const bool holds = is_finite(number(Column::scale)) && is_finite(number(Column::offset)) &&
                               range(number(Column::floor), number(Column::ceiling)) &&
                               is_finite(number(Column::near)) && amount(number(Column::tolerance)) &&
                               range(number(Column::low), number(Column::high)) && amount(number(Column::margin)) &&
                               is_finite(number(Column::middle)) && amount(number(Column::inverse)) &&
                               limit(number(Column::jump)) && limit(number(Column::walk));
            if (!holds) return false;
        }
        for (std::size_t i = 0; i < cells * header_.lanes; ++i) {
            const std::size_t c = i / header_.lanes;
            const auto number = [&](Line k) { return line(c / channels(), c % channels(), k)[i % header_.lanes]; };
            if (!is_finite(number(Line::scale)) || !is_finite(number(Line::offset)) ||
                !range(number(Line::floor), number(Line::ceiling)) || !amount(number(Line::evidence)))
                return false;
        }
        for (std::size_t d = 0; d < channels(); ++d) {
            const Channel& own = channel(d);
            if (own.relative > 1 || own.values > 3) return false;
            for (const double value : own.value)
                if (!is_finite(value)) return false;
        }
        for (std::size_t d = 0; d < header_.watch_channels; ++d) {
            const WatchChannel& own = watch_channel(d);
            if (!range(own.low, own.high) || !limit(own.velocity) || !limit(own.acceleration) || !limit(own.jerk))
                return false;
        }
        return true;
    }

    bool texts_hold() const noexcept {
        const auto whole = [&](Text t) {
            const std::uint64_t end = std::uint64_t(t.at) + t.size;
            return end < header_.texts_size && text(t)[t.size] == 0;
        };
        bool all = whole(header_.spec) && whole(header_.stage) && whole(header_.source) &&
                   whole(header_.max_age_source) && whole(header_.watch_source);
        for (std::size_t d = 0; d < channels(); ++d) {
            const Channel& own = channel(d);
            all = all && whole(own.name) && whole(own.unit) && whole(own.envelope_source) &&
                  whole(own.tolerance_source) && whole(own.jump_source) && whole(own.walk_source);
        }
        for (std::size_t k = 0; k < header_.candidates; ++k) all = all && whole(candidate(k).name);
        for (std::size_t d = 0; d < header_.watch_channels; ++d) {
            const WatchChannel& own = watch_channel(d);
            all = all && whole(own.name) && whole(own.unit);
            for (const Text source : own.source) all = all && whole(source);
        }
        return all;
    }

    const std::uint8_t* bytes_ = nullptr;
    Header header_{};
};

}  // namespace execspec::guard
