// A separable metric of all pairs of two lists of maps, channel by channel, in tiles that stay in the cache.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "execspec/isa.hpp"
#include "execspec/line_pairs.hpp"
#include "execspec/metric.hpp"
#include "execspec/parallel.hpp"
#include "execspec/sample.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

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

// One channel's maps, and as lines over a column where they are.
struct Maps {
    std::vector<const PiecewiseMap*> maps;
    Lines lines;

    Maps(const std::vector<const Unnormalizer*>& specs, std::size_t channel, const Empirical* x) {
        for (const Unnormalizer* spec : specs) {
            const PiecewiseMap& map = spec->map(channel);
            maps.push_back(&map);
            const bool is_line = x != nullptr && map.size() == 1;
            lines.push_back(is_line ? x->frame().local(map[0].f) : Affine{dd(undecided), dd(undecided)});
        }
    }
};

// Ranges [i0, i1) x [j0, j1) of pairs. A plane of one channel's values holds them row by row.
struct Tile {
    std::size_t i0, i1, j0, j1;
    static constexpr std::size_t side = 32;
    // From one plane to the next: 8 KiB apart they would share their places in the cache.
    static constexpr std::size_t stride = side * side + 8;

    std::size_t height() const { return i1 - i0; }
    std::size_t width() const { return j1 - j0; }
};

// A batch of rows of the tile at a time. `ask` is one ahead of `answer`.
template <class Kernel>
void measure_lines(const Kernel& kernel, const Maps& intended, const Maps& executed, const Tile& tile, double* plane) {
    isa::run([&] {
        const std::size_t together = LinePairs::capacity / tile.width();
        LinePairs batches[2];
        LinePairs* asked = &batches[0];
        LinePairs* next = &batches[1];
        for (std::size_t i = tile.i0; i < tile.i1; i += together) {
            next->size = 0;
            for (std::size_t k = i; k < std::min(i + together, tile.i1); ++k)
                next->add(intended.lines[k], executed.lines, tile.j0, tile.width());
            kernel.ask(*next);
            kernel.answer(*asked, *next, plane);
            plane += asked->size;
            std::swap(asked, next);
        }
        kernel.answer(*asked, LinePairs(), plane);
    });
}

// What the batches do not decide is `undecided`: all of a law, and of a metric that counts signs.
inline void measure_lines(const Metric& metric, const Measured& of, const Maps& intended, const Maps& executed,
                          const Tile& tile, double* plane) {
    const auto by = [&](const auto& kernel) { measure_lines(kernel, intended, executed, tile, plane); };
    const auto by_none = [&] { std::fill_n(plane, tile.height() * tile.width(), undecided); };
    if (of.x == nullptr) return by_none();
    switch (metric.kind) {
        case Metric::mean_abs:
            return by(line_pairs::MeanAbs{*of.x});
        case Metric::bias:
            return by(line_pairs::Bias{*of.x});
        case Metric::rms:
            return by(line_pairs::Rms{*of.x});
        case Metric::max:
            return by(line_pairs::MaxAbs{*of.x});
        case Metric::quantile:
            return by(line_pairs::Quantile{*of.x, *of.windows});
        case Metric::exceeds:
            return by(line_pairs::Exceeds{*of.x, metric.parameter});
        default:
            return by_none();
    }
}

// The metric of one channel for a tile of pairs.
inline void measure_tile(const Metric& metric, const Measured& of, const Maps& intended, const Maps& executed,
                         const Tile& tile, double* plane) {
    measure_lines(metric, of, intended, executed, tile, plane);
    bool decided = true;
    for (std::size_t k = 0; k < tile.height() * tile.width(); ++k) decided &= plane[k] == plane[k];
    if (decided) return;
    for (std::size_t i = tile.i0; i < tile.i1; ++i)
        for (std::size_t j = tile.j0; j < tile.j1; ++j, ++plane)
            if (std::isnan(*plane))
                *plane =
                    std::visit([&](const auto& x) { return measure(metric, x, *intended.maps[i], *executed.maps[j]); },
                               *of.column);
}

// Puts the values of a tile's pairs together from its planes, one to a channel; also those of the pairs (j, i) if they
// are the same.
template <class Put>
void put_tile(const Tile& tile, const double* planes, std::size_t dim, bool mirrored, std::vector<double>& rows,
              Put&& put) {
    constexpr std::size_t together = 8;  // of a column are read at once: a line of the cache
    rows.resize(together * Tile::side * dim);
    const std::size_t height = tile.height();
    const std::size_t width = tile.width();
    for (std::size_t i = 0; i < height; ++i) {
        for (std::size_t d = 0; d < dim; ++d)
            for (std::size_t j = 0; j < width; ++j) rows[j * dim + d] = planes[d * Tile::stride + i * width + j];
        put(tile.i0 + i, tile.j0, width, rows.data());
    }
    for (std::size_t j = 0; mirrored && j < width; j += together) {  // up to seven past the last, where there is room
        for (std::size_t d = 0; d < dim; ++d)
            for (std::size_t i = 0; i < height; ++i)
                for (std::size_t k = 0; k < together; ++k)
                    rows[(k * Tile::side + i) * dim + d] = planes[d * Tile::stride + i * width + j + k];
        for (std::size_t k = 0; k < std::min(together, width - j); ++k)
            put(tile.j0 + j + k, tile.i0, height, rows.data() + k * Tile::side * dim);
    }
}

}  // namespace detail

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
    constexpr std::size_t side = detail::Tile::side;
    constexpr std::size_t stride = detail::Tile::stride;
    constexpr std::size_t group = 128;  // tiles that share a channel's tables while these are in the cache
    const bool one = samples.size() == 1;
    const bool half = one && metric.symmetric() && intended == executed;
    std::vector<detail::Tile> tiles;
    for (std::size_t i = 0; i < rows; i += one ? side : 1)
        for (std::size_t j = half ? i : 0; j < columns; j += side)
            tiles.push_back({i, one ? std::min(i + side, rows) : i + 1, j, std::min(j + side, columns)});
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
        std::vector<double> planes(std::min(group, end - begin) * dim * stride);
        std::vector<double> values;
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
                    detail::measure_tile(metric, channel.measured, channel.intended, channel.executed, tiles[t],
                                         planes.data() + ((t - first) * dim + d) * stride);
            }
            for (std::size_t t = first; t < last; ++t)
                detail::put_tile(tiles[t], planes.data() + (t - first) * dim * stride, dim,
                                 half && tiles[t].i0 != tiles[t].j0, values, put);
        }
    });
}

}  // namespace execspec
