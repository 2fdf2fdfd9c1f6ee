// Philox4x32-10: the random numbers of sampling, as sidecar/executors/torch/philox.py has them.
//
// Counter-based, so the draw for one token does not depend on what else is in the batch. Salmon et
// al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#pragma once

#include <cstdint>

namespace native {

struct PhiloxWords {
    uint32_t word[4];
};

inline PhiloxWords philox4x32(PhiloxWords counter, uint32_t key_low, uint32_t key_high) {
    uint32_t* word = counter.word;
    for (int round = 0; round < 10; ++round) {
        uint64_t product = uint64_t(0xD2511F53) * word[0], other = uint64_t(0xCD9E8D57) * word[2];
        word[0] = uint32_t(other >> 32) ^ word[1] ^ key_low;
        word[1] = uint32_t(other);
        word[2] = uint32_t(product >> 32) ^ word[3] ^ key_high;
        word[3] = uint32_t(product);
        key_low += 0x9E3779B9;
        key_high += 0xBB67AE85;
    }
    return counter;
}

// The number in [0, 1) for the token of `choice` that will stand at `position`.
inline double uniform(uint64_t seed, uint32_t choice, uint32_t position) {
    PhiloxWords words = philox4x32({{choice, position, 0, 0}}, uint32_t(seed), uint32_t(seed >> 32));
    return double(words.word[0]) * 0x1p-32;
}

}  // namespace native
