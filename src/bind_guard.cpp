// The guard's lists and layouts, for Python's mirror of them to be compared with.
#include <pybind11/pybind11.h>

#include <cstddef>

#include "bind.hpp"
#include "execspec/guard/layout.hpp"
#include "execspec/guard/status.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace execspec::guard;

namespace {

// (name, bit, hard, meaning), in the order of bits.
py::list faults() {
    py::list all;
    for (std::uint32_t bit = 0; bit < fault_codes; ++bit)
        all.append(py::make_tuple(fault_info[bit].name, bit, fault_info[bit].hard, fault_info[bit].meaning));
    return all;
}

// By struct: its size and the offsets of its fields, in bytes.
py::dict layout() {
    py::dict all;
#define OFFSET(Struct, field) py::arg(#field) = offsetof(Struct, field)
    all["Header"] = py::make_tuple(
        sizeof(Header),
        py::dict(OFFSET(Header, magic), OFFSET(Header, endian), OFFSET(Header, version), OFFSET(Header, size),
                 OFFSET(Header, checksum), OFFSET(Header, mode), OFFSET(Header, digest), OFFSET(Header, spec),
                 OFFSET(Header, stage), OFFSET(Header, source), OFFSET(Header, channels), OFFSET(Header, steps),
                 OFFSET(Header, stages), OFFSET(Header, columns), OFFSET(Header, candidates), OFFSET(Header, lanes),
                 OFFSET(Header, u_dtype), OFFSET(Header, a_dtype), OFFSET(Header, watch_channels),
                 OFFSET(Header, watch_order), OFFSET(Header, watch_stops), OFFSET(Header, latch_faults),
                 OFFSET(Header, latch_steps), OFFSET(Header, max_age), OFFSET(Header, max_age_source),
                 OFFSET(Header, watch_max_age), OFFSET(Header, watch_max_dt), OFFSET(Header, watch_source),
                 OFFSET(Header, ops), OFFSET(Header, channel), OFFSET(Header, column), OFFSET(Header, line),
                 OFFSET(Header, candidate), OFFSET(Header, watch_channel), OFFSET(Header, texts),
                 OFFSET(Header, texts_size)));
    all["Channel"] = py::make_tuple(
        sizeof(Channel),
        py::dict(OFFSET(Channel, name), OFFSET(Channel, unit), OFFSET(Channel, envelope_source),
                 OFFSET(Channel, tolerance_source), OFFSET(Channel, jump_source), OFFSET(Channel, walk_source),
                 OFFSET(Channel, relative), OFFSET(Channel, values), OFFSET(Channel, value)));
    all["Candidate"] = py::make_tuple(sizeof(Candidate), py::dict(OFFSET(Candidate, name), OFFSET(Candidate, digest)));
    all["WatchChannel"] =
        py::make_tuple(sizeof(WatchChannel),
                       py::dict(OFFSET(WatchChannel, name), OFFSET(WatchChannel, unit), OFFSET(WatchChannel, source),
                                OFFSET(WatchChannel, low), OFFSET(WatchChannel, high), OFFSET(WatchChannel, velocity),
                                OFFSET(WatchChannel, acceleration), OFFSET(WatchChannel, jerk)));
#undef OFFSET
    return all;
}

py::dict constants() {
    return py::dict("max_channels"_a = max_channels, "max_rows"_a = max_rows, "max_stages"_a = max_stages,
                    "max_latch"_a = max_latch, "max_candidates"_a = max_candidates, "lane"_a = lane,
                    "columns"_a = static_cast<std::size_t>(Column::count),
                    "lines"_a = static_cast<std::size_t>(Line::count));
}

}  // namespace

void bind_guard(py::module_& m) {
    m.def("guard_faults", &faults);
    m.def("guard_layout", &layout);
    m.def("guard_constants", &constants);
}
