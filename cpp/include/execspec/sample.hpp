// A distribution of normalized actions: one column per channel, and the joint rows where they are known.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "execspec/buffer.hpp"
#include "execspec/empirical.hpp"
#include "execspec/laws.hpp"

namespace execspec {

using Column = std::variant<Empirical, Segments, Gaussian>;

class ActionSample {
  public:
    // `rows`: channel after channel, each of `count` values in the order of the rows; empty where only laws are known.
    ActionSample(std::vector<Column> columns, Buffer<double> rows)
        : columns_(std::move(columns)), rows_(std::move(rows)) {}

    std::size_t dim() const { return columns_.size(); }
    const Column& column(std::size_t channel) const { return columns_[channel]; }

    bool joint() const { return !rows_.empty(); }
    std::size_t count() const { return rows_.size() / dim(); }
    const double* rows(std::size_t channel) const { return rows_.data() + channel * count(); }

  private:
    std::vector<Column> columns_;
    Buffer<double> rows_;
};

}  // namespace execspec
