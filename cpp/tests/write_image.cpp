// write_image PATH: an image to run examples/cpp_consumer with.
#include <cstdio>

#include "check.hpp"
#include "guard_image.hpp"

int main(int argc, char** argv) {
    CHECK(argc == 2);
    guard_image::Parts parts;
    parts.siblings = {{"sibling", 9, parts.axes}};
    parts.siblings[0].axes[0].scale *= 2;
    const guard_image::Bytes bytes = parts.build();
    std::FILE* file = std::fopen(argv[1], "wb");
    CHECK(file);
    CHECK(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
    CHECK(std::fclose(file) == 0);
    return 0;
}
