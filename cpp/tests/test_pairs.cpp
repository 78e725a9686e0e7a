// What is computed in batches against its definition, one pair and one row at a time, on every instruction set.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "execspec/all_pairs.hpp"
#include "execspec/cells.hpp"
#include "execspec/flat.hpp"
#include "execspec/unnormalizer.hpp"

using execspec::ActionSample;
using execspec::Column;
using execspec::Empirical;
using execspec::Isa;
using execspec::Metric;
using execspec::Op;
using execspec::OpDType;
using execspec::OpKind;
using execspec::Unnormalizer;

namespace {

constexpr std::size_t dim = 3;

Unnormalizer bounds(Random& random, double eps) {
    std::vector<Op> ops;
    for (std::size_t d = 0; d < dim; ++d)
        ops.push_back({OpKind::endpoint, 0, OpDType::same, {-0.6 + 0.3 * random(), 0.6 + 0.3 * random(), eps, 0}});
    return {ops, dim, {}, std::vector<std::uint8_t>(dim, 0)};
}

// No line where the clip takes hold.
Unnormalizer clipped(Random& random) {
    std::vector<Op> ops(dim, {OpKind::clip, 0, OpDType::same, {-0.5, 0.3, 0, 0}});
    for (std::size_t d = 0; d < dim; ++d)
        ops.push_back({OpKind::endpoint, 0, OpDType::same, {-0.6 + 0.3 * random(), 0.6 + 0.3 * random(), 0, 0}});
    return {ops, dim, {}, std::vector<std::uint8_t>(dim, 0)};
}

ActionSample sample_of(const std::vector<double>& rows) {  // channel after channel
    const std::size_t n = rows.size() / dim;
    std::vector<Column> columns;
    for (std::size_t d = 0; d < dim; ++d)
        columns.emplace_back(Empirical(std::vector<double>(rows.begin() + static_cast<std::ptrdiff_t>(d * n),
                                                           rows.begin() + static_cast<std::ptrdiff_t>((d + 1) * n))));
    return {std::move(columns), execspec::Buffer<double>(rows.begin(), rows.end())};
}

bool close(double a, double b) { return std::abs(a - b) <= 1e-13 * std::abs(b); }

void every_metric(const ActionSample& sample, const std::vector<const Unnormalizer*>& specs) {
    const std::vector<const ActionSample*> samples{&sample};
    for (const Metric& metric : {Metric{Metric::mean_abs}, Metric{Metric::bias}, Metric{Metric::rms},
                                 Metric{Metric::max}, Metric{Metric::quantile, 0.3}, Metric{Metric::quantile, 0.99},
                                 Metric{Metric::quantile, 1.0}, Metric{Metric::exceeds, 0.05}})
        execspec::measure_all(
            metric, specs, specs, samples, 1,
            [&](std::size_t i, std::size_t j, std::size_t count, const double* values) {
                for (std::size_t k = 0; k < count * dim; ++k) {
                    const std::size_t d = k % dim;
                    const auto& x = std::get<Empirical>(sample.column(d));
                    CHECK(close(values[k], execspec::measure(metric, x, specs[i]->map(d), specs[j + k / dim]->map(d))));
                }
            });
}

void norms_and_cells(const ActionSample& sample, const Unnormalizer& i, const Unnormalizer& j) {
    const std::vector<std::size_t> channels{0, 2};
    double sum = 0.0;
    double largest = 0.0;
    for (std::size_t r = 0; r < sample.count(); ++r) {
        double squares = 0.0;
        for (const std::size_t d : channels) {
            const double x = sample.rows(d)[r];
            const double y = double((j.map(d)[0].f - i.map(d)[0].f)(execspec::dd(x)));
            squares += y * y;
        }
        sum += std::sqrt(squares);
        largest = std::max(largest, std::sqrt(squares));
    }
    const double want = sum / static_cast<double>(sample.count());
    const std::vector<execspec::PairNorms> pair{execspec::PairNorms(i, j, sample, channels)};
    double mean = 0.0;
    double most = 0.0;
    execspec::sweep({execspec::JointMetric::mean}, sample, pair, &mean);
    execspec::sweep({execspec::JointMetric::max}, sample, pair, &most);
    CHECK(std::abs(mean - want) <= 1e-12 * want);
    CHECK(std::abs(most - largest) <= 1e-12 * largest);
    double last = execspec::infinity;
    for (const std::size_t count : {1, 16, 400}) {
        const execspec::Interval found = execspec::Cells(sample, {&i, &j}, channels, count).bounds(pair)[0];
        CHECK(found.lower <= mean && mean <= found.upper && found.upper - found.lower <= last);
        last = found.upper - found.lower;
    }
}

template <class In, class Out>
void flat(const std::vector<Op>& ops) {
    const std::size_t stages = ops.size() / dim;
    constexpr OpDType in = sizeof(In) == 4 ? OpDType::float32 : OpDType::float64;
    const auto table = execspec::FlatTable::of(ops.data(), stages, dim, in);
    CHECK(table.has_value());
    Random random(9);
    std::vector<In> u(dim * 1001);
    for (In& x : u) x = static_cast<In>(2 * random());
    std::vector<Out> got(u.size());
    std::vector<Out> want(u.size());
    table->apply(u.data(), got.data(), u.size());
    const Unnormalizer map(ops, dim, {}, std::vector<std::uint8_t>(dim, 0));
    const std::ptrdiff_t step =
        -static_cast<std::ptrdiff_t>(dim * sizeof(In));  // backwards: not contiguous, so not flat
    map.apply(
        execspec::Rows<const In>{u.data() + dim * 1000, step, sizeof(In)},
        execspec::Rows<Out>{want.data() + dim * 1000, -static_cast<std::ptrdiff_t>(dim * sizeof(Out)), sizeof(Out)},
        1001, 1);
    CHECK(std::memcmp(got.data(), want.data(), got.size() * sizeof(Out)) == 0);
}

// Columns that meet the ends of lines, of groups of lines and of cells: one value, ties only, a few bins, all values
// but one in a single cell, and every count about a line's.
std::vector<std::vector<double>> hostile_columns(Random& random) {
    std::vector<std::vector<double>> all;
    for (const std::size_t n : {1, 2, 6, 7, 8, 55, 56, 57, 62, 63, 64, 126, 500}) {
        std::vector<double> x(n);
        for (double& value : x) value = random();
        all.push_back(x);
    }
    all.push_back(std::vector<double>(100, 0.25));
    std::vector<double> bins(3000);
    for (double& x : bins) x = std::round(20 * random()) / 20;
    all.push_back(bins);
    std::vector<double> outlier(3000);
    for (double& x : outlier) x = 1e-9 * random();
    outlier[17] = 1.0;
    all.push_back(outlier);
    return all;
}

// Beyond what a cache keeps, results take another way to memory, from whatever address and channel they begin at.
void large() {
    std::vector<Op> ops;
    for (std::size_t d = 0; d < dim; ++d)
        ops.push_back({OpKind::endpoint, 0, OpDType::same, {-0.1 * static_cast<double>(d + 1), 0.7, 0, 0}});
    const auto table = execspec::FlatTable::of(ops.data(), 1, dim, OpDType::float32);
    const std::size_t n = dim * 3000001;
    std::vector<float> u(n);
    for (std::size_t k = 0; k < n; ++k) u[k] = static_cast<float>(k % 2003) / 1000.0f - 1.0f;
    std::vector<float> got(n + 16);
    std::vector<float> want(dim * 2003);
    for (std::size_t k = 0; k < want.size(); k += 3) table->apply(u.data() + k, want.data() + k, 3);
    for (const std::size_t shift : {0, 1, 6}) {
        table->apply(u.data(), got.data() + shift, n);
        bool same = true;
        for (std::size_t k = 0; k < n; ++k) same = same && got[shift + k] == want[k % want.size()];
        CHECK(same);
    }
}

}  // namespace

int main() {
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
        if (!execspec::isa::supported(isa)) continue;
        execspec::isa::active() = isa;
        Random random(7);
        std::vector<Unnormalizer> specs;
        for (int k = 0; k < 40; ++k) specs.push_back(k % 7 == 5 ? clipped(random) : bounds(random, k % 3 ? 0.0 : 1e-8));
        std::vector<const Unnormalizer*> all;
        for (const Unnormalizer& spec : specs) all.push_back(&spec);
        std::vector<double> rows(dim * 1000);
        for (double& x : rows) x = random();
        for (std::size_t r = 0; r < 1000; r += 3) rows[r] = 0.25;                  // ties
        for (std::size_t r = 2000; r < 3000; ++r) rows[r] = 1e6 + 1e-3 * rows[r];  // far from zero
        const ActionSample sample = sample_of(rows);
        every_metric(sample, all);
        const std::vector<const Unnormalizer*> few(all.begin(), all.begin() + 9);
        for (const std::vector<double>& column : hostile_columns(random)) {
            std::vector<double> three;
            for (std::size_t d = 0; d < dim; ++d) three.insert(three.end(), column.begin(), column.end());
            every_metric(sample_of(three), few);
        }
        large();
        norms_and_cells(sample, specs[0], specs[1]);
        for (const OpDType dtype : {OpDType::same, OpDType::float64}) {
            std::vector<Op> ops;
            for (std::size_t d = 0; d < dim; ++d) ops.push_back({OpKind::clip, 0, OpDType::same, {-1, 1, 0, 0}});
            for (std::size_t d = 0; d + 1 < dim; ++d)
                ops.push_back({OpKind::endpoint, 0, dtype, {-0.1 * static_cast<double>(d + 1), 0.7, 1e-8, 0}});
            ops.push_back({OpKind::identity, 0, OpDType::same, {0, 0, 0, 0}});
            flat<float, float>(ops);
            flat<float, double>(ops);
            flat<double, double>(ops);
            flat<double, float>({ops.begin() + dim, ops.end()});
            flat<float, float>({ops.begin() + dim, ops.end()});
        }
    }
    return 0;
}
