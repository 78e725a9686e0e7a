// Brute force as fast as we can write it: sum |a_j(u) - a_i(u)| over all rows, for all pairs of keys, in float32.
//
// Rows and keys are cut into blocks that stay in the second cache. Within a block each key's actions are computed
// once; then a square of 4 x 4 pairs shares its eight loads and keeps its sixteen sums in registers.
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t lanes = 16;
constexpr std::size_t rows_at_once = 2048;
constexpr std::size_t keys_at_once = 64;
constexpr std::size_t side = 4;

using vec = float __attribute__((vector_size(4 * lanes)));
using bits = std::int32_t __attribute__((vector_size(4 * lanes)));

vec magnitude(vec x) { return reinterpret_cast<vec>(reinterpret_cast<bits>(x) & 0x7fffffff); }

struct Block {
    alignas(64) float action[keys_at_once][rows_at_once];

    void fill(const float* u, std::size_t rows, const float* scale, const float* offset, std::size_t keys) {
        for (std::size_t k = 0; k < keys; ++k)
            for (std::size_t n = 0; n < rows; ++n) action[k][n] = scale[k] * u[n] + offset[k];
    }
};

// `rows` is a multiple of `lanes`.
void square_of_pairs(const Block& a, std::size_t i0, const Block& b, std::size_t j0, std::size_t rows,
                     double sum[side][side]) {
    vec lane[side][side] = {};
    for (std::size_t n = 0; n < rows; n += lanes) {
        vec x[side];
        vec y[side];
        for (std::size_t s = 0; s < side; ++s) {
            x[s] = *reinterpret_cast<const vec*>(a.action[i0 + s] + n);
            y[s] = *reinterpret_cast<const vec*>(b.action[j0 + s] + n);
        }
        for (std::size_t i = 0; i < side; ++i)
            for (std::size_t j = 0; j < side; ++j) lane[i][j] += magnitude(y[j] - x[i]);
    }
    for (std::size_t i = 0; i < side; ++i)
        for (std::size_t j = 0; j < side; ++j) {
            float total = 0;
            for (std::size_t l = 0; l < lanes; ++l) total += lane[i][j][l];
            sum[i][j] = total;
        }
}

}  // namespace

// u: (D, N); scale, offset: (D, K); sums: (K, K), the pairs i < j are filled, summed over channels and rows.
// N is a multiple of 16, K of 4.
extern "C" void sweep(const float* u, std::size_t n, std::size_t dim, const float* scale, const float* offset,
                      std::size_t keys, double* sums) {
    static Block a;
    static Block b;
    std::fill(sums, sums + keys * keys, 0.0);
    for (std::size_t d = 0; d < dim; ++d)
        for (std::size_t i0 = 0; i0 < keys; i0 += keys_at_once)
            for (std::size_t j0 = i0; j0 < keys; j0 += keys_at_once)
                for (std::size_t r = 0; r < n; r += rows_at_once) {
                    const std::size_t rows = std::min(rows_at_once, n - r);
                    const std::size_t height = std::min(keys_at_once, keys - i0);
                    const std::size_t width = std::min(keys_at_once, keys - j0);
                    a.fill(u + d * n + r, rows, scale + d * keys + i0, offset + d * keys + i0, height);
                    b.fill(u + d * n + r, rows, scale + d * keys + j0, offset + d * keys + j0, width);
                    for (std::size_t i = 0; i < height; i += side)
                        for (std::size_t j = i0 == j0 ? i : 0; j < width; j += side) {
                            double sum[side][side];
                            square_of_pairs(a, i, b, j, rows, sum);
                            for (std::size_t s = 0; s < side; ++s)
                                for (std::size_t t = 0; t < side; ++t)
                                    sums[(i0 + i + s) * keys + j0 + j + t] += sum[s][t];
                        }
                }
}
