// A separable metric by name and number, measured for one pair, for a batch, and for all pairs of two lists.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "execspec/drift.hpp"
#include "execspec/line_pairs.hpp"
#include "execspec/parallel.hpp"
#include "execspec/sample.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

struct Metric {
    enum Kind { mean_abs, bias, rms, max, worst_case, quantile, exceeds, flips, zeros } kind;
    double parameter = 0.0;  // p of a quantile, eps of exceeds

    // M[j, i] = M[i, j] over one sample; the bias changes its sign, and the worst case is over the intended domain.
    bool symmetric() const { return kind != bias && kind != worst_case; }
};

// Of executing `fj` where `fi` was meant, by definition.
template <class Column>
double measure(const Metric& metric, const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    switch (metric.kind) {
        case Metric::bias:
            return bias(x, fi, fj);
        case Metric::rms:
            return rms(x, fi, fj);
        case Metric::max:
            return max_abs(x, fi, fj);
        case Metric::quantile:
            return quantile(x, fi, fj, metric.parameter);
        case Metric::exceeds:
            return exceeds(x, fi, fj, metric.parameter);
        case Metric::flips:
        case Metric::zeros:
            return flips(x, fi, fj, metric.kind == Metric::zeros);
        default:
            return mean_abs(x, fi, fj);
    }
}

namespace detail {

// A column, and what its batches look up beside it.
struct Measured {
    const Column* column;
    const Empirical* x;  // null for a law
    std::optional<Windows> windows;

    Measured(const Metric& metric, const Column& of, std::size_t pairs) : column(&of), x(std::get_if<Empirical>(&of)) {
        if (x != nullptr && metric.kind == Metric::quantile)
            windows.emplace(*x, static_cast<std::size_t>(double(x->quota(metric.parameter))), pairs);
    }
};

inline void measure_lines(const Metric& metric, const Measured& of, const LinePairs& pairs, double* out) {
    isa::run([&] {
        switch (metric.kind) {
            case Metric::bias:
                return line_pairs::bias(*of.x, pairs, out);
            case Metric::rms:
                return line_pairs::rms(*of.x, pairs, out);
            case Metric::max:
                return line_pairs::max_abs(*of.x, pairs, out);
            case Metric::quantile:
                return line_pairs::quantile(*of.x, pairs, *of.windows, out);
            case Metric::exceeds:
                return line_pairs::exceeds(*of.x, pairs, metric.parameter, out);
            default:
                return line_pairs::mean_abs(*of.x, pairs, out);
        }
    });
}

// One channel's maps, and as lines over a column where they are.
struct Maps {
    std::vector<const PiecewiseMap*> maps;
    Lines lines;
    std::vector<char> is_line;

    Maps(const std::vector<const Unnormalizer*>& specs, std::size_t channel, const Empirical* x) {
        for (const Unnormalizer* spec : specs) {
            const PiecewiseMap& map = spec->map(channel);
            maps.push_back(&map);
            is_line.push_back(x != nullptr && map.size() == 1);
            lines.push_back(is_line.back() ? x->frame().local(map[0].f) : Affine{});
        }
    }
};

}  // namespace detail

// Ranges [i0, i1) x [j0, j1) of pairs.
struct Tile {
    std::size_t i0, i1, j0, j1;
    static constexpr std::size_t side = 32;
    static constexpr std::size_t stride = side * side + 8;  // planes 8 KiB apart would share their places in the cache

    std::size_t at(std::size_t i, std::size_t j) const { return (i - i0) * side + (j - j0); }
};

// The metric of one channel for a tile of pairs: out[tile.at(i, j)].
inline void measure_tile(const Metric& metric, const detail::Measured& of, const detail::Maps& intended,
                         const detail::Maps& executed, const Tile& tile, double* out) {
    const auto by_definition = [&](std::size_t i, std::size_t j) {
        out[tile.at(i, j)] = std::visit(
            [&](const auto& x) { return measure(metric, x, *intended.maps[i], *executed.maps[j]); }, *of.column);
    };
    const bool counts_signs = metric.kind == Metric::flips || metric.kind == Metric::zeros;
    LinePairs pairs;
    double result[LinePairs::capacity];
    std::uint16_t place[LinePairs::capacity];
    const auto flush = [&] {
        if (pairs.size == 0) return;
        detail::measure_lines(metric, of, pairs, result);
        for (std::size_t k = 0; k < pairs.size; ++k) out[place[k]] = result[k];
        for (std::size_t k = 0; k < pairs.size; ++k)
            if (std::isnan(result[k])) by_definition(tile.i0 + place[k] / Tile::side, tile.j0 + place[k] % Tile::side);
        pairs.size = 0;
    };
    for (std::size_t i = tile.i0; i < tile.i1; ++i)
        for (std::size_t j = tile.j0; j < tile.j1;) {
            std::size_t end = j;
            if (intended.is_line[i] && !counts_signs)
                while (end < tile.j1 && executed.is_line[end] && end - j < LinePairs::capacity - pairs.size) ++end;
            if (end == j) {
                by_definition(i, j++);
                continue;
            }
            for (std::size_t k = j; k < end; ++k)
                place[pairs.size + (k - j)] = static_cast<std::uint16_t>(tile.at(i, k));
            isa::run([&] { pairs.add(intended.lines[i], executed.lines, j, end - j); });
            if (pairs.size == LinePairs::capacity) flush();
            j = end;
        }
    flush();
}

// Calls put(i, j, count, values) with the D values of each of the pairs (i, j), (i, j + 1), …, the first of them
// intended; from several threads, each pair once. One sample for all rows, or one each.
template <class Put>
void measure_all(const Metric& metric, const std::vector<const Unnormalizer*>& intended,
                 const std::vector<const Unnormalizer*>& executed, const std::vector<const ActionSample*>& samples,
                 std::size_t threads, Put&& put) {
    const std::size_t rows = intended.size();
    const std::size_t columns = executed.size();
    const std::size_t dim = rows && columns ? intended[0]->dim() : 0;
    if (metric.kind == Metric::worst_case) {
        parallel_for(rows, threads, [&](std::size_t begin, std::size_t end) {
            std::vector<double> values(dim);
            for (std::size_t i = begin; i < end; ++i)
                for (std::size_t j = 0; j < columns; ++j) {
                    for (std::size_t d = 0; d < dim; ++d)
                        values[d] = worst_case(intended[i]->domain(), intended[i]->map(d), executed[j]->map(d));
                    put(i, j, 1, values.data());
                }
        });
        return;
    }
    constexpr std::size_t group =
        128;  // tiles that look into one channel's tables before the next channel's replace them
    const bool one = samples.size() == 1;
    const bool half = one && metric.symmetric() && intended == executed;
    std::vector<Tile> tiles;
    for (std::size_t i = 0; i < rows; i += one ? Tile::side : 1)
        for (std::size_t j = half ? i : 0; j < columns; j += Tile::side)
            tiles.push_back({i, one ? std::min(i + Tile::side, rows) : i + 1, j, std::min(j + Tile::side, columns)});
    struct Channel {
        detail::Measured measured;
        detail::Maps intended;
        detail::Maps executed;
    };
    const auto channels_of = [&](const ActionSample& sample, std::size_t pairs, std::size_t pool) {
        std::vector<std::optional<Channel>> channels(dim);
        parallel_for(dim, pool, [&](std::size_t begin, std::size_t end) {
            for (std::size_t d = begin; d < end; ++d) {
                detail::Measured measured(metric, sample.column(d), pairs);
                const Empirical* x = measured.x;
                channels[d] = {std::move(measured), {intended, d, x}, {executed, d, x}};
            }
        });
        return channels;
    };
    // Of the one sample; with a sample for each row, of that row's, made anew below.
    const auto shared = one ? channels_of(*samples[0], half ? rows * rows / 2 : rows * columns, threads)
                            : std::vector<std::optional<Channel>>();
    parallel_for(tiles.size(), threads, [&](std::size_t begin, std::size_t end) {
        std::vector<double> planes(std::min(group, end - begin) * dim * Tile::stride);
        std::vector<double> row(Tile::side * dim);
        auto own = std::vector<std::optional<Channel>>();
        std::size_t own_row = rows;
        for (std::size_t first = begin, last; first < end; first = last) {
            const auto together = [&](std::size_t t) { return one || tiles[t].i0 == tiles[first].i0; };
            for (last = first + 1; last < end && last - first < group && together(last);) ++last;
            if (!one && own_row != tiles[first].i0) {
                own_row = tiles[first].i0;
                own = channels_of(*samples[own_row], columns, 1);
            }
            for (std::size_t d = 0; d < dim; ++d) {
                const Channel& channel = *(one ? shared : own)[d];
                for (std::size_t t = first; t < last; ++t)
                    measure_tile(metric, channel.measured, channel.intended, channel.executed, tiles[t],
                                 planes.data() + ((t - first) * dim + d) * Tile::stride);
            }
            for (std::size_t t = first; t < last; ++t) {
                const Tile& tile = tiles[t];
                const double* plane = planes.data() + (t - first) * dim * Tile::stride;
                const auto collect = [&](std::size_t place, std::size_t step, std::size_t count) {
                    for (std::size_t d = 0; d < dim; ++d)
                        for (std::size_t k = 0; k < count; ++k)
                            row[k * dim + d] = plane[d * Tile::stride + place + k * step];
                    return row.data();
                };
                const std::size_t height = tile.i1 - tile.i0;
                const std::size_t width = tile.j1 - tile.j0;
                for (std::size_t i = tile.i0; i < tile.i1; ++i)
                    put(i, tile.j0, width, collect(tile.at(i, tile.j0), 1, width));
                if (!half || tile.i0 == tile.j0) continue;
                for (std::size_t j = tile.j0; j < tile.j1; ++j)
                    put(j, tile.i0, height, collect(tile.at(tile.i0, j), Tile::side, height));
            }
        }
    });
}

}  // namespace execspec
