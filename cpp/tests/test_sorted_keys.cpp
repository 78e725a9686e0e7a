// Every answer of the index against a binary search, on every instruction set.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "execspec/isa.hpp"
#include "execspec/sorted_keys.hpp"

using execspec::Isa;
using execspec::SortedKeys;

namespace {

constexpr double infinity = HUGE_VAL;

std::vector<std::vector<double>> hostile_keys() {
    Random random(3);
    std::vector<std::vector<double>> all{{0.0}, {-1.0, 1.0}, std::vector<double>(50, 0.25), {0.0, 5e-324}, {-8.0, 8.0}};
    std::vector<double> uniform(5000);
    for (double& x : uniform) x = random();
    all.push_back(uniform);
    std::vector<double> steep(9000);  // most of them in one coarse cell, and some too close for their marks
    for (double& x : steep) x = std::pow(random(), 31);
    all.push_back(steep);
    std::vector<double> outlier(3000);
    for (double& x : outlier) x = 1e-9 * random();
    outlier[17] = 1.0;
    all.push_back(outlier);
    std::vector<double> clusters(4000);
    for (double& x : clusters) x = std::round(6 * random()) + 1e-14 * random();
    all.push_back(clusters);
    std::vector<double> neighbours(2000);  // one rounding apart
    double next = 0.7;
    for (double& x : neighbours) x = next = std::nextafter(next, 1.0);
    all.push_back(neighbours);
    for (std::vector<double>& keys : all) std::sort(keys.begin(), keys.end());
    return all;
}

std::vector<double> asked(const std::vector<double>& keys) {
    Random random(5);
    std::vector<double> t{-infinity, infinity, -1e300, 1e300, 0.0, -0.0};
    for (const double key : keys) {
        t.insert(t.end(), {key, std::nextafter(key, -infinity), std::nextafter(key, infinity)});
        t.push_back(keys.front() + (keys.back() - keys.front()) * (0.6 * random() + 0.5));
    }
    return t;
}

void against_binary_search(const std::vector<double>& keys) {
    const SortedKeys index(execspec::Buffer<double>(keys.begin(), keys.end()));
    const std::vector<double> all = asked(keys);
    std::vector<std::uint32_t> less(SortedKeys::batch);
    std::vector<double> t(SortedKeys::batch);
    for (std::size_t begin = 0, n = 1; begin < all.size(); begin += n, n = n % SortedKeys::batch + 1) {
        n = std::min(n, all.size() - begin);
        std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(begin), n, t.begin());
        index.find(t.data(), n, less.data());
        for (std::size_t k = 0; k < n; ++k) {
            const auto want = static_cast<std::size_t>(std::lower_bound(keys.begin(), keys.end(), t[k]) - keys.begin());
            CHECK(less[k] == want);
            const auto [least, most] = index.range(t[k]);
            CHECK(least <= want && want <= most && most <= keys.size());
        }
    }
    const double nan = std::nan("");
    std::fill(t.begin(), t.end(), nan);
    index.find(t.data(), 3, less.data());
    for (std::size_t k = 0; k < 3; ++k) CHECK(less[k] <= keys.size());
}

}  // namespace

int main() {
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
        if (!execspec::isa::supported(isa)) continue;
        execspec::isa::active() = isa;
        for (const std::vector<double>& keys : hostile_keys()) against_binary_search(keys);
    }
    return 0;
}
