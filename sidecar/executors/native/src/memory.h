// Large, zeroed, page-aligned memory; huge pages where the system has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace native {

struct Unmap {
    size_t bytes = 0;
    void operator()(uint8_t* memory) const;
};

// Pages take real memory once they are written to. Null when the system refuses.
using Pages = std::unique_ptr<uint8_t, Unmap>;
Pages allocate_pages(size_t bytes);

// Hands out pieces of large mappings, so that small matrices share huge pages. Nothing is given
// back before the arena ends.
class Arena {
  public:
    // Aligned to 64 bytes; null when the system refuses.
    uint8_t* take(size_t bytes);

  private:
    std::vector<Pages> chunks_;
    size_t used_ = 0;
};

}  // namespace native
