// Cache blocks as they are written, and attention over them against a plain softmax.
#include <algorithm>
#include <cmath>

#include "half.h"
#include "model.h"

#include "harness.h"

namespace self_check {

using native::CacheType;
using native::Kernels;
using native::kBlockSize;
using native::kSpan;

namespace {

// A sequence's cache in blocks that lie in no order, with another head's between them.
struct Sequence {
    std::vector<uint8_t> memory;
    std::vector<int32_t> blocks;
    native::CacheView view;
    std::vector<float> keys, values;  // what was written, [positions][head size]

    Sequence(const Kernels& path, CacheType type, int head_size, int positions, Random& random) {
        size_t bytes = native::cache_head_bytes(type, size_t(head_size)), count = size_t(positions + 15) / 16;
        memory.resize(2 * bytes * count + 64);
        uint8_t* start = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
        view = {type, start, 2 * bytes, head_size};
        for (size_t i = 0; i < count; ++i) blocks.push_back(int32_t(i));
        for (size_t i = count; i-- > 1;) std::swap(blocks[i], blocks[size_t(random.whole(0, int(i)))]);
        keys = random.reals(size_t(positions * head_size), -1, 1);
        values = random.reals(size_t(positions * head_size), -3, 3);
        for (int position = 0; position < positions; ++position) {
            size_t place = size_t(position * head_size);
            bool is_finite = path.write_cache(view, blocks[size_t(position / kBlockSize)], position % kBlockSize,
                                              &keys[place], &values[place]);
            expect(is_finite, "%s: a finite key is said not to be", path.name);
        }
    }

    // Number `i` of the key or value at a position, as it is stored.
    double stored(int position, int i, bool is_value) const {
        const uint8_t* block = view.memory + size_t(blocks[size_t(position / kBlockSize)]) * view.stride;
        int slot = position % kBlockSize, size = view.head_size;
        int place = is_value ? size * kBlockSize + slot * size + i : i * kBlockSize + slot;
        if (view.type == CacheType::bfloat16) {
            place = is_value ? size * kBlockSize + (slot / 2 * size + i) * 2 + slot % 2 : (i / 2 * kBlockSize + slot) * 2 + i % 2;
            return native::float_of_bfloat16(reinterpret_cast<const uint16_t*>(block)[place]);
        }
        if (view.type == CacheType::float32) return reinterpret_cast<const float*>(block)[place];
        if (view.type == CacheType::float16)
            return native::float_of_float16(reinterpret_cast<const uint16_t*>(block)[place]);
        float scale = reinterpret_cast<const float*>(block)[slot + (is_value ? kBlockSize : 0)];
        return double(scale) * int8_t(block[2 * kBlockSize * 4 + place]);
    }
};

float rounded(float number) { return native::float_of_bfloat16(native::bfloat16_of_float(number)); }

void check_written(const Kernels& path, const Sequence& sequence, int positions) {
    size_t size = size_t(sequence.view.head_size);
    for (int position = 0; position < positions; position += 5)
        for (bool is_value : {false, true}) {
            const float* written = (is_value ? sequence.values : sequence.keys).data() + size_t(position) * size;
            float largest = 0;
            for (size_t i = 0; i < size; ++i) largest = std::fmax(largest, std::fabs(written[i]));
            for (size_t i = 0; i < size; ++i) {
                double stored = sequence.stored(position, int(i), is_value), expected = written[i];
                if (sequence.view.type == CacheType::float16)
                    expected = native::float_of_float16(native::float16_of_float(written[i]));
                if (sequence.view.type == CacheType::bfloat16) expected = rounded(written[i]);
                double tolerance = sequence.view.type == CacheType::int8 ? largest / 253.9 : 0;
                expect(is_near(stored, expected, tolerance), "%s: cache type %d: %g was stored as %g", path.name,
                       int(sequence.view.type), double(written[i]), stored);
            }
        }
}

struct Query {
    int first, last;
    std::vector<float> numbers;
};

// Attention of some queries beside each other: [queries][head size].
std::vector<float> attend(const Kernels& path, const Sequence& sequence, const std::vector<Query>& queries) {
    size_t size = size_t(sequence.view.head_size), count = queries.size();
    std::vector<float> totals(count * size), parts(count * size);
    native::Queries all{};
    native::Partial total[native::kAttentionRows], next[native::kAttentionRows];
    all.count = int(count);
    int first = INT32_MAX, last = 0;
    for (size_t i = 0; i < count; ++i) {
        all.values[i] = queries[i].numbers.data();
        all.first[i] = queries[i].first, all.last[i] = queries[i].last;
        total[i].values = totals.data() + i * size, next[i].values = parts.data() + i * size;
        first = std::min(first, queries[i].first), last = std::max(last, queries[i].last);
    }
    for (int span = first / kSpan; span <= last / kSpan; ++span) {
        bool is_first = span == first / kSpan;
        path.attend(sequence.view, sequence.blocks.data(), span, all, is_first ? total : next);
        for (size_t i = 0; i < count && !is_first; ++i) path.merge(total[i], next[i], int(size));
    }
    for (size_t i = 0; i < count; ++i) path.divide(total[i].values, total[i].weight, size);
    return totals;
}

std::vector<double> softmax_average(const Sequence& sequence, const Query& query) {
    int size = sequence.view.head_size;
    std::vector<double> result(size_t(size), 0.0), scores, numbers;
    // Beside bfloat16 keys a query is bfloat16 as well, once its scores are those of powers of 2.
    const float factor = 1.44269504088896341f;
    for (float number : query.numbers)
        numbers.push_back(sequence.view.type == CacheType::bfloat16 ? double(rounded(number * factor)) / factor : number);
    for (int position = query.first; position <= query.last; ++position) {
        double score = 0;
        for (int i = 0; i < size; ++i) score += numbers[size_t(i)] * sequence.stored(position, i, false);
        scores.push_back(score);
    }
    double largest = *std::max_element(scores.begin(), scores.end()), total = 0;
    for (double& score : scores) total += score = std::exp(score - largest);
    for (int position = query.first; position <= query.last; ++position)
        for (int i = 0; i < size; ++i)
            result[size_t(i)] += scores[size_t(position - query.first)] / total * sequence.stored(position, i, true);
    return result;
}

void check_queries(const Kernels& path, CacheType type, int head_size, int positions, int window, Random& random) {
    Sequence sequence(path, type, head_size, positions, random);
    check_written(path, sequence, positions);
    // Beside bfloat16 values of up to 3 weights are bfloat16 as well: half a unit of their 8 bits may be lost.
    double tolerance = type == CacheType::bfloat16 ? 3.1 / 512 : 1e-5;
    std::vector<Query> queries;
    std::vector<float> alone;
    for (int i = 0; i < native::kAttentionRows; ++i) {
        int last = std::max(0, positions - 1 - i / 2);
        int first = window ? std::max(0, last - window + 1) : 0;
        queries.push_back({first, last, random.reals(size_t(head_size), -0.5f, 0.5f)});
        std::vector<float> one = attend(path, sequence, {queries.back()});
        alone.insert(alone.end(), one.begin(), one.end());
        std::vector<double> expected = softmax_average(sequence, queries.back());
        for (size_t number = 0; number < one.size(); ++number)
            expect(is_near(one[number], expected[number], tolerance),
                   "%s: cache type %d, head size %d, %d positions, window %d: %g, not %g", path.name, int(type),
                   head_size, positions, window, double(one[number]), expected[number]);
    }
    for (size_t count : {2, 3, 4, 5, 6, 7, 10, native::kAttentionRows}) {
        std::vector<Query> some(queries.end() - long(count), queries.end());
        std::vector<float> expected(alone.end() - long(count) * head_size, alone.end());
        expect(is_same(attend(path, sequence, some), expected),
               "%s: cache type %d, head size %d, %d positions, window %d: %d queries differ from one by one", path.name,
               int(type), head_size, positions, window, int(count));
    }
}

void check_not_finite(const Kernels& path, CacheType type, Random& random) {
    Sequence sequence(path, type, 32, 1, random);
    const float nearly_infinite = 3.4e38f;
    for (float bad : {INFINITY, -INFINITY, NAN, 1e6f, nearly_infinite})
        for (int place : {0, 31, 32, 63}) {
            std::vector<float> pair(64, 0.5f);
            pair[size_t(place)] = bad;
            bool expected = bad == 1e6f ? type != CacheType::float16
                                        : bad == nearly_infinite && (type == CacheType::float32 || type == CacheType::int8);
            expect(path.write_cache(sequence.view, 0, 0, pair.data(), pair.data() + 32) == expected,
                   "%s: cache type %d: whether %g is finite", path.name, int(type), double(bad));
        }
}

}  // namespace

void check_attention() {
    Random random(4);
    for (const Kernels* path : usable_paths())
        for (CacheType type : {CacheType::float32, CacheType::float16, CacheType::int8, CacheType::bfloat16}) {
            check_not_finite(*path, type, random);
            for (int head_size : {16, 48, 64, 80, 128, 256}) {
                check_queries(*path, type, head_size, 37, 0, random);
                check_queries(*path, type, head_size, 270, 20, random);
            }
            for (int positions : {1, 15, 16, 17, 256, 257, 600})
                for (int window : {0, 1, 300}) check_queries(*path, type, 64, positions, window, random);
        }
}

}  // namespace self_check
