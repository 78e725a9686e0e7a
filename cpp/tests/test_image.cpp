// The loader against damage and malice: what is not whole is refused with a code, and whatever it lets in, no step
// reads outside the image. Images lie in memory of their exact size, so that the address sanitizer sees a byte too far.
#include <cstring>
#include <memory>
#include <vector>

#include "check.hpp"
#include "execspec/guard.hpp"
#include "guard_image.hpp"

using namespace execspec::guard;
using guard_image::Bytes;
using guard_image::Parts;

namespace {

// A copy that ends where its memory ends.
class Copy {
  public:
    explicit Copy(const Bytes& bytes, std::size_t size) : size_(size), memory_(new unsigned char[size + 1]) {
        std::memcpy(memory_.get(), bytes.data(), std::min(size, bytes.size()));
    }
    LoadStatus load(Image& image) const { return image.load(memory_.get(), size_); }
    unsigned char* data() { return memory_.get(); }
    std::size_t size() const { return size_; }

  private:
    std::size_t size_;
    std::unique_ptr<unsigned char[]> memory_;
};

Parts rich() {
    Parts parts;
    parts.siblings = {{"sibling", 9, parts.axes}, {"other", 10, parts.axes}};
    parts.watch = {{}, {}};
    return parts;
}

Parts with_steps() {
    Parts parts = rich();
    parts.steps = 2;
    const std::vector<guard_image::Axis> first = parts.axes;
    parts.axes.insert(parts.axes.end(), first.begin(), first.end());
    for (guard_image::Sibling& sibling : parts.siblings) sibling.axes = parts.axes;
    return parts;
}

// Uses all of an image that was let in.
void exercise(const void* bytes, std::size_t size, Random& random) {
    static Gate gate;
    static Watch watch;
    if (gate.open(bytes, size) != LoadStatus::ok) return;
    const std::size_t channels = gate.image().channels();
    const std::size_t rows = gate.image().header().steps > 1 ? gate.image().header().steps : 3;
    std::vector<double> u(channels * rows), a(channels * rows);
    for (double& value : u) value = random();
    for (std::size_t k = 0; k < rows; ++k)
        gate.command(u.data() + k * channels, a.data() + k * channels, rows == 3 ? 0 : k);
    gate.step({u.data(), channels}, {a.data(), channels});
    gate.accept({u.data(), u.size()}, {a.data(), a.size()}, rows);
    a[0] += 1;
    gate.accept({u.data(), u.size()}, {a.data(), a.size()}, 1);
    gate.hold(a.data());
    gate.evidence();
    for (std::size_t k = 0; k < gate.image().header().candidates; ++k)
        gate.image().text(gate.image().candidate(k).name);
    static char text[1 << 16];
    banner(gate.image(), text, sizeof text);
    explain(gate, ~0u, text, sizeof text);
    if (watch.open(bytes, size) != LoadStatus::ok) return;
    std::vector<double> command(watch.channels());
    for (int i = 0; i < 3; ++i) {
        watch.step({command.data(), command.size()}, 0.01);
        for (double& value : command) value += 0.1 * random();
    }
    watch.stop(command.data(), 0.01);
    explain(watch, ~0u, text, sizeof text);
}

void a_whole_image_is_read() {
    for (const Parts& parts : {Parts{}, rich(), with_steps()}) {
        const Bytes bytes = parts.build();
        Image image;
        CHECK(image.load(bytes.data(), bytes.size()) == LoadStatus::ok);
        CHECK(!std::strcmp(image.text(image.header().spec), "checkpoint:key"));
        CHECK(!std::strcmp(image.text(image.channel(1).name), "y"));
        CHECK(image.number(Column::high, 0, 1) == 0.75);
        CHECK(image.header().candidates == parts.siblings.size() + 1);
        CHECK(image.watch_channel(0).jerk == 1000);
    }
}

// The first n bytes of a good image, for every n.
void truncations_are_refused() {
    const Bytes bytes = rich().build();
    Image image;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        CHECK(Copy(bytes, n).load(image) == LoadStatus::too_short);
        CHECK(!image.loaded() && image.channels() == 0);
    }
    CHECK(Copy(bytes, bytes.size()).load(image) == LoadStatus::ok);
    Copy longer(bytes, bytes.size() + 8);
    std::memset(longer.data() + bytes.size(), 0, 8);
    CHECK(longer.load(image) == LoadStatus::damaged);
    CHECK(image.load(nullptr, 1 << 20) == LoadStatus::too_short);
}

// One bit, anywhere.
void flipped_bits_are_refused() {
    const Bytes bytes = Parts{}.build();
    Copy copy(bytes, bytes.size());
    Image image;
    for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += bit < 8 * sizeof(Header) ? 1 : 31) {
        copy.data()[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
        const LoadStatus status = copy.load(image);
        CHECK(status != LoadStatus::ok && status != LoadStatus::malformed);
        copy.data()[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    }
    CHECK(copy.load(image) == LoadStatus::ok);
}

void strangers_are_told_apart() {
    Image image;
    Bytes bytes = Parts{}.build();
    bytes.header().version = 2;
    bytes.seal();
    CHECK(image.load(bytes.data(), bytes.size()) == LoadStatus::other_version);
    bytes = Parts{}.build();
    bytes.header().endian = 0x04030201;
    bytes.seal();
    CHECK(image.load(bytes.data(), bytes.size()) == LoadStatus::other_endian);
    bytes = Parts{}.build();
    bytes.header().magic[0] = 'e';
    bytes.seal();
    CHECK(image.load(bytes.data(), bytes.size()) == LoadStatus::not_an_image);
    bytes = Parts{}.build();
    Copy shifted(bytes, bytes.size() + 8);
    std::memcpy(shifted.data() + 4, bytes.data(), bytes.size());
    CHECK(image.load(shifted.data() + 4, bytes.size()) == LoadStatus::not_aligned);
}

// Bytes that are no image, and a good header before them.
void garbage_is_refused() {
    Random random(1);
    Image image;
    const Bytes good = Parts{}.build();
    for (int i = 0; i < 2000; ++i) {
        Copy copy(good, static_cast<std::size_t>(4096 * (0.5 + 0.5 * random())));
        const std::size_t keep = i % 2 ? sizeof(Header) : 0;
        for (std::size_t k = keep; k < copy.size(); ++k) copy.data()[k] = static_cast<unsigned char>(512 * random());
        CHECK(copy.load(image) != LoadStatus::ok);
    }
}

std::uint64_t hostile(Random& random) {
    const std::uint64_t values[] = {
        0,          1,           2,     63,         64,         65,         0x7fffffff,      0x80000000,
        0xffffffff, 0x100000000, ~0ull, ~0ull - 63, 1ull << 63, 1ull << 61, 0x7ff8ull << 48, 0x7ff0ull << 48,
        1000,       240};
    const auto pick = static_cast<std::size_t>((0.5 + 0.5 * random()) * 20);
    return pick < 18 ? values[pick] : static_cast<std::uint64_t>(4096 * (0.5 + 0.5 * random()));
}

// With its checksum made good, an image may lie about anything. Fields of 4 and 8 bytes of the header first, then of
// the rest, one to three at a time.
void lies_do_no_harm() {
    Random random(2);
    for (const Parts& parts : {Parts{}, with_steps()}) {
        const Bytes good = parts.build();
        std::uint64_t accepted = 0;
        for (int i = 0; i < 6000; ++i) {
            Copy copy(good, good.size());
            for (int lies = 1 + i % 3; lies > 0; --lies) {
                const std::size_t width = random() < 0 ? 4 : 8;
                const std::size_t range = i % 2 ? sizeof(Header) : good.size();
                const auto at = static_cast<std::size_t>((0.5 + 0.5 * random()) * static_cast<double>(range / width));
                const std::uint64_t value = hostile(random);
                std::memcpy(copy.data() + at * width, &value, width);
            }
            const std::uint32_t sum = checksum(copy.data(), copy.size(), offsetof(Header, checksum));
            std::memcpy(copy.data() + offsetof(Header, checksum), &sum, sizeof sum);
            Image image;
            accepted += copy.load(image) == LoadStatus::ok;
            exercise(copy.data(), copy.size(), random);
        }
        CHECK(accepted > 100);  // else nothing was exercised
    }
}

// A count or offset that points past the end, alone.
void sections_stay_inside() {
    const Bytes good = Parts{}.build();
    const auto refuses = [&](auto&& lie) {
        Bytes bytes = good;
        lie(bytes.header());
        bytes.seal();
        Image image;
        return image.load(bytes.data(), bytes.size()) == LoadStatus::malformed;
    };
    std::uint64_t Header::* const sections[] = {&Header::ops,  &Header::channel,   &Header::column,
                                                &Header::line, &Header::candidate, &Header::watch_channel,
                                                &Header::texts};
    for (const auto section : sections) {
        for (const std::uint64_t at : {good.size(), good.size() + 64, ~std::uint64_t{63}, std::uint64_t{1} << 32,
                                       std::uint64_t{0}, std::uint64_t{8}, good.size() - 63})
            CHECK(refuses([&](Header& h) { h.*section = at; }));
        if (section != &Header::candidate)  // which is small enough
            CHECK(refuses([&](Header& h) { h.*section = good.size() - 64; }));
    }
    std::uint32_t Header::* const counts[] = {&Header::channels, &Header::steps, &Header::columns, &Header::candidates,
                                              &Header::lanes};
    for (const auto count : counts)
        for (const std::uint32_t n : {0u, 64u, 65u, 1025u, 0x20000000u, ~0u})
            CHECK(refuses([&](Header& h) { h.*count = n; }));
    CHECK(refuses([](Header& h) { h.stages = 64; }));
    CHECK(refuses([](Header& h) { h.watch_channels = 65; }));
    CHECK(refuses([](Header& h) { h.texts_size = ~std::uint64_t{0}; }));
    CHECK(refuses([](Header& h) { h.texts_size = 1; }));
    CHECK(refuses([](Header& h) { h.spec.size += 1; }));
    CHECK(refuses([](Header& h) { h.source.at = ~0u; }));
    CHECK(refuses([](Header& h) { h.source = {~0u, 2}; }));
    CHECK(refuses(
        [](Header& h) { reinterpret_cast<Channel*>(reinterpret_cast<unsigned char*>(&h) + h.channel)->values = 4; }));
}

// The checksum is the one of zlib and IEEE 802.3.
void the_checksum_is_the_standards() {
    const std::uint8_t check[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
    CHECK(checksum(check, 9, 9) == 0xcbf43926u);
    CHECK(guard_image::crc32(check, 9) == 0xcbf43926u);
}

}  // namespace

int main() {
    a_whole_image_is_read();
    truncations_are_refused();
    flipped_bits_are_refused();
    strangers_are_told_apart();
    garbage_is_refused();
    lies_do_no_harm();
    sections_stay_inside();
    the_checksum_is_the_standards();
    return 0;
}
