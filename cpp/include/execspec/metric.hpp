// A separable metric by name and number, measured for one pair, for a batch, and for all pairs of two lists.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
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

inline void measure_lines(const Metric& metric, const Empirical& x, const LinePairs& pairs, double* out) {
    isa::run([&] {
        switch (metric.kind) {
            case Metric::bias:
                return line_pairs::bias(x, pairs, out);
            case Metric::rms:
                return line_pairs::rms(x, pairs, out);
            case Metric::max:
                return line_pairs::max_abs(x, pairs, out);
            case Metric::quantile:
                return line_pairs::quantile(x, pairs, static_cast<std::size_t>(double(x.quota(metric.parameter))), out);
            case Metric::exceeds:
                return line_pairs::exceeds(x, pairs, metric.parameter, out);
            default:
                return line_pairs::mean_abs(x, pairs, out);
        }
    });
}

// One channel's maps, and as lines over a column where they are.
struct Maps {
    std::vector<const PiecewiseMap*> maps;
    std::vector<Affine> lines;
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
};

// The metric of one channel for a tile of pairs: out[(i - i0) * side + (j - j0)].
inline void measure_tile(const Metric& metric, const Column& column, const detail::Maps& intended,
                         const detail::Maps& executed, const Tile& tile, double* out) {
    const auto by_definition = [&](std::size_t i, std::size_t j) {
        return std::visit([&](const auto& x) { return measure(metric, x, *intended.maps[i], *executed.maps[j]); },
                          column);
    };
    const auto* x = std::get_if<Empirical>(&column);
    const bool counts_signs = metric.kind == Metric::flips || metric.kind == Metric::zeros;
    LinePairs pairs;
    double result[LinePairs::capacity];
    std::pair<std::size_t, std::size_t> place[LinePairs::capacity];
    const auto flush = [&] {
        if (pairs.size == 0) return;
        detail::measure_lines(metric, *x, pairs, result);
        for (std::size_t k = 0; k < pairs.size; ++k) {
            const auto [i, j] = place[k];
            out[(i - tile.i0) * Tile::side + (j - tile.j0)] = std::isnan(result[k]) ? by_definition(i, j) : result[k];
        }
        pairs.size = 0;
    };
    for (std::size_t i = tile.i0; i < tile.i1; ++i)
        for (std::size_t j = tile.j0; j < tile.j1;) {
            std::size_t end = j;
            if (intended.is_line[i] && !counts_signs)
                while (end < tile.j1 && executed.is_line[end] && end - j < LinePairs::capacity - pairs.size) ++end;
            if (end == j) {
                out[(i - tile.i0) * Tile::side + (j - tile.j0)] = by_definition(i, j);
                ++j;
                continue;
            }
            for (std::size_t k = j; k < end; ++k) place[pairs.size + (k - j)] = {i, k};
            isa::run([&] { pairs.add(intended.lines[i], executed.lines.data() + j, end - j); });
            if (pairs.size == LinePairs::capacity) flush();
            j = end;
        }
    flush();
}

// Calls put(i, j, values) with the D values of every pair, i intended and j executed; from several threads, each pair
// once. One sample for all rows, or one each.
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
                    put(i, j, values.data());
                }
        });
        return;
    }
    const bool one = samples.size() == 1;
    const bool half = one && metric.symmetric() && intended == executed;
    std::vector<Tile> tiles;
    for (std::size_t i = 0; i < rows; i += one ? Tile::side : 1)
        for (std::size_t j = half ? i : 0; j < columns; j += Tile::side)
            tiles.push_back({i, one ? std::min(i + Tile::side, rows) : i + 1, j, std::min(j + Tile::side, columns)});
    using Channels = std::vector<detail::Maps>;
    const auto maps_of = [&](const std::vector<const Unnormalizer*>& specs, const ActionSample& sample) {
        Channels maps;
        for (std::size_t d = 0; d < dim; ++d) maps.emplace_back(specs, d, std::get_if<Empirical>(&sample.column(d)));
        return maps;
    };
    // In the frame of the one sample; with a sample for each row, of that row's, made anew below.
    const Channels shared_i = one ? maps_of(intended, *samples[0]) : Channels();
    const Channels shared_j = one && !half ? maps_of(executed, *samples[0]) : Channels();
    parallel_for(tiles.size(), threads, [&](std::size_t begin, std::size_t end) {
        std::vector<double> plane(Tile::side * Tile::side);
        std::vector<double> block(Tile::side * Tile::side * dim);
        Channels own_i;
        Channels own_j;
        std::size_t own = rows;
        for (std::size_t t = begin; t < end; ++t) {
            const Tile& tile = tiles[t];
            const ActionSample& sample = *samples[one ? 0 : tile.i0];
            if (!one && own != tile.i0) {
                own_i = maps_of(intended, sample);
                own_j = maps_of(executed, sample);
                own = tile.i0;
            }
            const Channels& mi = one ? shared_i : own_i;
            const Channels& mj = half ? shared_i : one ? shared_j : own_j;
            for (std::size_t d = 0; d < dim; ++d) {
                measure_tile(metric, sample.column(d), mi[d], mj[d], tile, plane.data());
                for (std::size_t k = 0; k < plane.size(); ++k) block[k * dim + d] = plane[k];
            }
            const auto values = [&](std::size_t i, std::size_t j) {
                return block.data() + ((i - tile.i0) * Tile::side + (j - tile.j0)) * dim;
            };
            for (std::size_t i = tile.i0; i < tile.i1; ++i)
                for (std::size_t j = tile.j0; j < tile.j1; ++j) put(i, j, values(i, j));
            if (!half || tile.i0 == tile.j0) continue;
            for (std::size_t j = tile.j0; j < tile.j1; ++j)
                for (std::size_t i = tile.i0; i < tile.i1; ++i) put(j, i, values(i, j));
        }
    });
}

}  // namespace execspec
