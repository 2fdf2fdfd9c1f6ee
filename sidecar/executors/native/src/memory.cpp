#include "memory.h"

#include <utility>

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#endif

namespace native {

namespace {

constexpr size_t kChunkBytes = size_t(64) << 20;

}  // namespace

uint8_t* Arena::take(size_t bytes) {
    size_t size = (bytes + 63) / 64 * 64;
    if (chunks_.empty() || chunks_.back().get_deleter().bytes - used_ < size) {
        Pages chunk = allocate_pages(size > kChunkBytes ? size : kChunkBytes);
        if (!chunk) return nullptr;
        chunks_.push_back(std::move(chunk));
        used_ = 0;
    }
    uint8_t* piece = chunks_.back().get() + used_;
    used_ += size;
    return piece;
}

#if defined(_WIN32)

void Unmap::operator()(uint8_t* memory) const { VirtualFree(memory, 0, MEM_RELEASE); }

Pages allocate_pages(size_t bytes) {
    void* memory = VirtualAlloc(nullptr, bytes ? bytes : 1, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    return Pages(static_cast<uint8_t*>(memory), Unmap{bytes});
}

#else

void Unmap::operator()(uint8_t* memory) const { munmap(memory, bytes); }

Pages allocate_pages(size_t bytes) {
    size_t size = bytes ? bytes : 1;
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Pages(nullptr, Unmap{0});
#if defined(MADV_HUGEPAGE)
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    return Pages(static_cast<uint8_t*>(memory), Unmap{size});
}

#endif

}  // namespace native
