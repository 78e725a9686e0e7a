// What no sweep of a joint norm can do without: sum ||delta||^2 over all rows, for many pairs, as fused multiply-adds
// on rows in the first cache. Without a root and without exact coefficients it is no answer, but a physical limit.
#include <algorithm>
#include <cstddef>

namespace {

constexpr std::size_t dim = 7;
constexpr std::size_t rows_at_once = 512;
constexpr std::size_t side = 4;  // vectors whose sums do not wait for each other

using vec = double __attribute__((vector_size(64)));

}  // namespace

// u: (D, N); alpha, beta: (P, D); sums: (P,). D = 7, N is a multiple of 32.
extern "C" void squares(const double* u, std::size_t n, const double* alpha, const double* beta, std::size_t pairs,
                        double* sums) {
    static vec x[dim][rows_at_once / 8];
    std::fill(sums, sums + pairs, 0.0);
    for (std::size_t r = 0; r < n; r += rows_at_once) {
        const std::size_t rows = std::min(rows_at_once, n - r);
        for (std::size_t d = 0; d < dim; ++d) std::copy_n(u + d * n + r, rows, reinterpret_cast<double*>(x[d]));
        for (std::size_t p = 0; p < pairs; ++p) {
            vec total[side] = {};
            for (std::size_t k = 0; k < rows / 8; k += side)
                for (std::size_t d = 0; d < dim; ++d)
                    for (std::size_t s = 0; s < side; ++s) {
                        const vec delta = alpha[p * dim + d] * x[d][k + s] + beta[p * dim + d];
                        total[s] += delta * delta;
                    }
            for (std::size_t s = 0; s < side; ++s)
                for (std::size_t l = 0; l < 8; ++l) sums[p] += total[s][l];
        }
    }
}
