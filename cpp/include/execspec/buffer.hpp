// A vector for large tables: memory is not cleared first, and lies in huge pages where the system has them, since
// random looks into 32 MB of small pages cost more in address translation than in the look.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace execspec {

template <class T>
struct HugePages {
    using value_type = T;

    HugePages() = default;
    template <class U>
    HugePages(const HugePages<U>&) {}

    T* allocate(std::size_t n) {
        constexpr std::size_t page = std::size_t{1} << 21;
        const bool large = n * sizeof(T) >= page;
        const std::size_t alignment = large ? page : 64;
        const std::size_t bytes = (n * sizeof(T) + alignment - 1) / alignment * alignment;
        void* memory = std::aligned_alloc(alignment, bytes);
        if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
        if (large) madvise(memory, bytes, MADV_HUGEPAGE);  // a hint: what it answers changes nothing
#endif
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t) { std::free(memory); }

    template <class U>
    void construct(U* place) {
        ::new (static_cast<void*>(place)) U;
    }
    template <class U, class... Args>
    void construct(U* place, Args&&... args) {
        ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
    }

    friend bool operator==(const HugePages&, const HugePages&) { return true; }
    friend bool operator!=(const HugePages&, const HugePages&) { return false; }
};

template <class T>
using Buffer = std::vector<T, HugePages<T>>;

}  // namespace execspec
