#include "abi.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "blocks.h"
#include "check.h"
#include "pack.h"
#include "paths.h"
#include "sampler.h"
#include "step.h"

using namespace native;

struct native_model {
    native_model(const native_config& config, const Kernels& kernels) : model(config, kernels) {}
    Model model;
    Workspace workspace;
};

namespace {

thread_local std::string last_error;

int32_t fail(const std::string& what) {
    last_error = what;
    return 1;
}

// No exception may leave a C function: those that the standard library throws become errors here.
template <class Work>
int32_t guarded(Work work) {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return fail("out of memory");
    } catch (const std::exception& error) {
        return fail(error.what());
    }
}

}  // namespace

int32_t native_abi_version(void) { return NATIVE_ABI_VERSION; }

const char* native_error(void) { return last_error.c_str(); }

const char* native_path(int32_t index, int32_t* usable) {
    for (const Path* path = kPaths; path->name; ++path, --index)
        if (index == 0) {
            if (usable) *usable = path->is_usable();
            return path->name;
        }
    return nullptr;
}

native_model* native_create(const native_config* config, const char* path) {
    native_model* model = nullptr;
    guarded([&] {
        std::string wrong = check_config(config);
        if (!wrong.empty()) return fail(wrong);
        const Kernels* kernels = path ? find_path(path) : nullptr;
        if (!kernels) return fail(std::string("kernel path ") + (path ? path : "(null)") + " cannot be used here");
        model = new native_model(*config, *kernels);
        model->model.phase_seconds.resize(kPhases);
        return 0;
    });
    return model;
}

void native_destroy(native_model* model) { delete model; }

int64_t native_matrix_bytes(int32_t format, int64_t rows, int64_t columns) {
    if (format < 0 || format >= int32_t(Format::count) || rows < 1 || columns < 1) return -1;
    return int64_t(tiles_of(size_t(rows)) * tile_bytes(Format(format), size_t(columns)));
}

int32_t native_set_matrix(native_model* handle, int32_t layer, int32_t slot, const native_tensor* tensor,
                          int32_t format) {
    return guarded([&] {
        if (!handle) return fail("there is no model");
        Model& model = handle->model;
        int64_t rows, columns;
        if (layer < 0 || layer >= model.config.layers) return fail("there is no layer " + std::to_string(layer));
        if (slot < NATIVE_EMBEDDING || slot > NATIVE_DOWN || !model.shape(slot, rows, columns))
            return fail("slot " + std::to_string(slot) + " is no matrix");
        std::string wrong = check_tensor(tensor, rows, columns);
        if (wrong.empty()) wrong = check_format(*tensor, format);
        if (!wrong.empty()) return fail(wrong);
        if (slot == NATIVE_EMBEDDING) {
            Stored stored = Stored(tensor->stored);
            model.embedding = {stored, static_cast<const uint8_t*>(tensor->data), row_bytes(stored, size_t(columns))};
            return 0;
        }
        return model.pack(*model.matrix(layer, slot), *tensor, Format(format)) ? 0 : fail("out of memory");
    });
}

int32_t native_set_vector(native_model* handle, int32_t layer, int32_t slot, const native_tensor* tensor) {
    return guarded([&] {
        if (!handle) return fail("there is no model");
        Model& model = handle->model;
        int64_t rows, columns;
        if (layer < 0 || layer >= model.config.layers) return fail("there is no layer " + std::to_string(layer));
        if (slot < NATIVE_FINAL_NORM || slot >= NATIVE_SLOTS || !model.shape(slot, rows, columns))
            return fail("slot " + std::to_string(slot) + " is no vector");
        std::string wrong = check_tensor(tensor, rows, columns);
        if (wrong.empty() && block_numbers(Stored(tensor->stored)) != 1) wrong = "a vector must be of plain floats";
        if (!wrong.empty()) return fail(wrong);
        // Padded to whole groups, which are whole tiles too.
        size_t count = size_t(columns);
        std::vector<float> stored(groups_of(count) * kGroup), numbers(stored.size());
        for (size_t group = 0; group < groups_of(count); ++group)
            read_floats(Stored(tensor->stored), static_cast<const uint8_t*>(tensor->data), count, group,
                        stored.data() + group * kGroup);
        for (size_t i = 0; i < count; ++i) numbers[i] = stored[stored_row(i, count, size_t(tensor->permuted_heads))];
        *model.vector(layer, slot) = std::move(numbers);
        return 0;
    });
}

int64_t native_block_bytes(const native_config* config, int32_t cache_type) {
    if (!check_config(config).empty() || cache_type < 0 || cache_type >= int32_t(CacheType::count)) return -1;
    return int64_t(config->layers) * config->key_heads *
           int64_t(cache_head_bytes(CacheType(cache_type), size_t(config->head_size)));
}

int32_t native_allocate_cache(native_model* handle, int32_t blocks, int32_t cache_type) {
    return guarded([&] {
        if (!handle) return fail("there is no model");
        if (blocks < 1) return fail("a cache needs at least one block");
        if (cache_type < 0 || cache_type >= int32_t(CacheType::count)) return fail("there is no such type of cache");
        const native_config& config = handle->model.config;
        Cache cache;
        cache.type = CacheType(cache_type);
        cache.blocks = size_t(blocks);
        cache.head_bytes = cache_head_bytes(cache.type, size_t(config.head_size));
        cache.layer_bytes = cache.head_bytes * size_t(config.key_heads);
        cache.memory = allocate_pages(cache.layer_bytes * size_t(config.layers) * cache.blocks);
        if (!cache.memory) return fail("out of memory");
        handle->model.cache = std::move(cache);
        return 0;
    });
}

int32_t native_copy_blocks(native_model* handle, const int32_t* pairs, int32_t count) {
    return guarded([&] {
        if (!handle) return fail("there is no model");
        Model& model = handle->model;
        std::string wrong = check_blocks(model, pairs, count > INT32_MAX / 2 ? -1 : 2 * count);
        if (!wrong.empty()) return fail(wrong);
        // A target may be another pair's source: all sources are read first.
        size_t size = model.cache.layer_bytes;
        std::vector<uint8_t> sources(size * size_t(count));
        for (size_t layer = 0; layer < model.layers.size(); ++layer) {
            for (size_t i = 0; i < size_t(count); ++i)
                std::memcpy(sources.data() + i * size, model.cache.block(layer, size_t(pairs[2 * i])), size);
            for (size_t i = 0; i < size_t(count); ++i)
                std::memcpy(model.cache.block(layer, size_t(pairs[2 * i + 1])), sources.data() + i * size, size);
        }
        return 0;
    });
}

namespace {

template <class Move>
int32_t move_blocks(native_model* handle, const int32_t* blocks, int32_t count, const void* content, int64_t bytes,
                    Move move) {
    return guarded([&] {
        if (!handle) return fail("there is no model");
        const Model& model = handle->model;
        std::string wrong = check_blocks(model, blocks, count);
        if (!wrong.empty()) return fail(wrong);
        size_t size = model.cache.layer_bytes, expected = size * model.layers.size() * size_t(count);
        if (!content || bytes < 0 || size_t(bytes) != expected)
            return fail("content has " + std::to_string(bytes) + " bytes; so many blocks take " + std::to_string(expected));
        size_t offset = 0;
        for (size_t i = 0; i < size_t(count); ++i)
            for (size_t layer = 0; layer < model.layers.size(); ++layer, offset += size)
                move(model.cache.block(layer, size_t(blocks[i])), offset, size);
        return 0;
    });
}

}  // namespace

int32_t native_export_blocks(native_model* handle, const int32_t* blocks, int32_t count, void* content, int64_t bytes) {
    return move_blocks(handle, blocks, count, content, bytes, [&](uint8_t* block, size_t offset, size_t size) {
        std::memcpy(static_cast<uint8_t*>(content) + offset, block, size);
    });
}

int32_t native_import_blocks(native_model* handle, const int32_t* blocks, int32_t count, const void* content,
                             int64_t bytes) {
    return move_blocks(handle, blocks, count, content, bytes, [&](uint8_t* block, size_t offset, size_t size) {
        std::memcpy(block, static_cast<const uint8_t*>(content) + offset, size);
    });
}

int32_t native_execute(native_model* handle, const native_batch* batch, int32_t* statuses, native_sample* samples,
                       int32_t* top_tokens, float* top_logprobs, float* logits) {
    return guarded([&] {
        if (!handle) return fail("there is no model");
        std::string wrong = check_batch(handle->model, batch);
        if (!wrong.empty()) return fail(wrong);
        if (!statuses || (!samples && !logits) || (batch->top_logprobs && (!top_tokens || !top_logprobs)))
            return fail("there is no room for results");
        Step step(handle->model, handle->workspace, *batch);
        if (!step.prepare()) return fail("out of memory");
        step.run({statuses, samples, top_tokens, top_logprobs, logits});
        return 0;
    });
}

int32_t native_take_times(native_model* handle, double* seconds, int32_t count) {
    if (!handle || !seconds || count != kPhases) return fail("there must be room for " + std::to_string(kPhases) + " phases");
    auto& times = handle->model.phase_seconds;
    std::copy(times.begin(), times.end(), seconds);
    std::fill(times.begin(), times.end(), 0.0);
    return 0;
}

int32_t native_test_product(const char* path, const native_tensor* tensor, int32_t format, const float* activations,
                            int32_t tokens, float* out) {
    return guarded([&] {
        const Kernels* kernels = path ? find_path(path) : nullptr;
        if (!kernels) return fail("this kernel path cannot be used here");
        if (!tensor || tensor->rows < 1 || tensor->columns < 1 || tokens < 1 || !activations || !out)
            return fail("there is nothing to multiply");
        std::string wrong = check_tensor(tensor, tensor->rows, tensor->columns);
        if (wrong.empty()) wrong = check_format(*tensor, format);
        if (!wrong.empty()) return fail(wrong);
        size_t rows = size_t(tensor->rows), columns = size_t(tensor->columns), count = size_t(tokens);
        native_config config{1, 1, 1, 1, 1, 1, 16, 0, 0, 1, 1.0f};
        Model model(config, *kernels);
        Matrix matrix;
        if (!model.pack(matrix, *tensor, Format(format))) return fail("out of memory");
        size_t groups = groups_of(columns), stride = matrix.tiles() * kTileRows;
        std::vector<ActivationGroup> quantized((count + kTokenBlock - 1) / kTokenBlock * groups);
        for (size_t token = 0; token < count; ++token)
            kernels->quantize(activations + token * columns, columns, quantized.data() + token / kTokenBlock * groups,
                              int(token % kTokenBlock));
        // Tokens of a last, partly filled block are computed and thrown away: they must exist.
        std::vector<float> values(activations, activations + count * columns), result(count * stride);
        values.resize((count + kTokenBlock) * columns);
        kernels->product(matrix.weights, 0, matrix.tiles(), {values.data(), columns, quantized.data(), count},
                         {result.data(), stride, nullptr, Store::write});
        for (size_t token = 0; token < count; ++token)
            std::copy_n(result.data() + token * stride, rows, out + token * rows);
        return 0;
    });
}

int32_t native_test_sample(const char* path, const float* logits, int32_t vocabulary, const native_batch* batch,
                           int32_t row, int32_t offset, native_sample* sample, int32_t* top_tokens,
                           float* top_logprobs) {
    return guarded([&] {
        const Kernels* kernels = path ? find_path(path) : nullptr;
        if (!kernels) return fail("this kernel path cannot be used here");
        if (!logits || vocabulary < 1) return fail("there are no logits");
        std::string wrong = check_sample(batch, row, offset, vocabulary);
        if (!wrong.empty()) return fail(wrong);
        if (!sample || batch->top_logprobs < 0 || (batch->top_logprobs && (!top_tokens || !top_logprobs)))
            return fail("there is no room for results");
        std::vector<float> changed(logits, logits + vocabulary);
        SampleScratch scratch;
        scratch.reserve(size_t(vocabulary));
        SampleTarget target{sample, top_tokens, top_logprobs, size_t(batch->top_logprobs)};
        sample_token(*kernels, changed.data(), changed.size(), *batch, batch->rows[row], offset, scratch, target);
        return 0;
    });
}
