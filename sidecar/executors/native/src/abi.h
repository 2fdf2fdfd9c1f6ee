// The C interface: what Python calls through ctypes. Plain numbers and pointers, nothing else.
//
// Every function checks its arguments. One that can fail returns 0 when it succeeded; otherwise
// native_error() tells what was wrong, in the calling thread, until its next call.
// A model belongs to one thread at a time, with `cancel` bytes the exception: any thread may set one.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define NATIVE_API __declspec(dllexport)
#else
#define NATIVE_API __attribute__((visibility("default")))
#endif

#define NATIVE_ABI_VERSION 1

typedef struct native_model native_model;

// Sizes in numbers, lengths in tokens.
typedef struct {
    int32_t vocabulary;
    int32_t hidden;
    int32_t intermediate;
    int32_t layers;
    int32_t heads;
    int32_t key_heads;
    int32_t head_size;  // a multiple of 16, up to 256
    int32_t rotary;     // numbers of a head that are rotated, even
    int32_t window;     // positions seen, 0 for all
    int32_t threads;
    float epsilon;
} native_config;

enum native_slot {
    NATIVE_EMBEDDING = 0, NATIVE_HEAD = 1, NATIVE_QUERY = 2, NATIVE_KEY = 3, NATIVE_VALUE = 4,
    NATIVE_OUTPUT = 5, NATIVE_GATE = 6, NATIVE_UP = 7, NATIVE_DOWN = 8,
    NATIVE_FINAL_NORM = 9, NATIVE_INPUT_NORM = 10, NATIVE_POST_NORM = 11,
    NATIVE_QUERY_NORM = 12, NATIVE_KEY_NORM = 13,
    NATIVE_QUERY_BIAS = 14, NATIVE_KEY_BIAS = 15, NATIVE_VALUE_BIAS = 16, NATIVE_OUTPUT_BIAS = 17,
    NATIVE_GATE_BIAS = 18, NATIVE_UP_BIAS = 19, NATIVE_DOWN_BIAS = 20,
    NATIVE_FREQUENCIES = 21,
    NATIVE_SLOTS = 22,
};

// A tensor of the model's file, row-major. `permuted_heads`: rows of this many heads are in GGUF's
// rotary order (pairs interleaved) and are put back; 0 for none.
typedef struct {
    int32_t stored;  // Stored in tiles.h
    int32_t permuted_heads;
    int64_t rows;  // 1 for a vector
    int64_t columns;
    const void* data;
    int64_t bytes;
} native_tensor;

typedef struct {
    uint64_t seed;
    double temperature, top_p, min_p, typical_p;
    double repetition_penalty, frequency_penalty, presence_penalty;
    int32_t choice;
    int32_t top_k;
    int32_t logprobs;  // 0 or 1
    int32_t top_logprobs;
} native_sampling;

// One sequence's part of a step; `first_...` are places in the batch's flat arrays.
typedef struct {
    native_sampling sampling;
    const uint8_t* cancel;
    int32_t first_token, tokens;
    int32_t start;  // position of the first token
    int32_t first_block, blocks;
    int32_t samples;  // the last so many positions get a token each
    int32_t first_penalty, penalties;
    int32_t first_bias, biases;
    int32_t first_forbidden, forbidden;
    int32_t first_mask, masks;  // none, or one for each sample
} native_row;

typedef struct {
    int32_t token, times;
} native_penalty;

typedef struct {
    int32_t token;
    float value;
} native_bias;

typedef struct {
    const native_row* rows;
    const int32_t* tokens;
    const int32_t* blocks;
    const native_penalty* penalties;
    const native_bias* biases;
    const int32_t* forbidden;
    const uint32_t* const* masks;  // each ceil(vocabulary / 32) words, bit set = allowed; or null
    int32_t row_count, token_count, block_count, penalty_count, bias_count, forbidden_count, mask_count;
    int32_t top_logprobs;  // room for so many in each sample
} native_batch;

enum native_status {
    NATIVE_DONE = 0, NATIVE_CANCELLED = 1, NATIVE_STATES_NOT_FINITE = 2, NATIVE_LOGITS_NOT_FINITE = 3,
    NATIVE_NOTHING_ALLOWED = 4,
};

typedef struct {
    int32_t status;  // of the choice: done, logits not finite or nothing allowed
    int32_t token;
    float logprob;
    int32_t top_count;
} native_sample;

NATIVE_API int32_t native_abi_version(void);
NATIVE_API const char* native_error(void);
// Name of kernel path `index`, fastest first; null past the last. `usable`: this processor can run it.
NATIVE_API const char* native_path(int32_t index, int32_t* usable);

NATIVE_API native_model* native_create(const native_config* config, const char* path);
NATIVE_API void native_destroy(native_model* model);
// Bytes that a matrix takes as `format`; -1 when the format or the sizes are not known.
NATIVE_API int64_t native_matrix_bytes(int32_t format, int64_t rows, int64_t columns);
// Packs a matrix; the embedding is read where it lies and must stay there. `layer` is 0 for what is no layer's.
NATIVE_API int32_t native_set_matrix(native_model* model, int32_t layer, int32_t slot, const native_tensor* tensor,
                                     int32_t format);
NATIVE_API int32_t native_set_vector(native_model* model, int32_t layer, int32_t slot, const native_tensor* tensor);

NATIVE_API int64_t native_block_bytes(const native_config* config, int32_t cache_type);
NATIVE_API int32_t native_allocate_cache(native_model* model, int32_t blocks, int32_t cache_type);
NATIVE_API int32_t native_copy_blocks(native_model* model, const int32_t* pairs, int32_t count);
NATIVE_API int32_t native_export_blocks(native_model* model, const int32_t* blocks, int32_t count, void* content,
                                        int64_t bytes);
NATIVE_API int32_t native_import_blocks(native_model* model, const int32_t* blocks, int32_t count,
                                        const void* content, int64_t bytes);

// One step. `statuses` gets one of native_status for each row. `samples` gets one entry for each
// sampled position, rows in order; `top_tokens` and `top_logprobs` batch->top_logprobs for each of
// them. With `logits` nothing is chosen: it gets the raw logits float32 [sampled positions][vocabulary].
NATIVE_API int32_t native_execute(native_model* model, const native_batch* batch, int32_t* statuses,
                                  native_sample* samples, int32_t* top_tokens, float* top_logprobs, float* logits);

// Seconds that each phase took since the last call, in the order of Phase in step.h.
NATIVE_API int32_t native_take_times(native_model* model, double* seconds, int32_t count);

// Bytes a second at which so many threads read memory that no cache holds; -1 when it cannot be measured.
NATIVE_API double native_test_bandwidth(int64_t bytes, int32_t threads);
// Multiplications a second of so many threads with quantized weights and `tokens` tokens (up to 64) that lie in the
// caches; -1 when the path or the format cannot be used.
NATIVE_API double native_test_multiplications(const char* path, int32_t format, int32_t tokens, int32_t threads);

// The product of one matrix with float32 activations [tokens][columns], for tests of a kernel path:
// out float32 [tokens][rows].
NATIVE_API int32_t native_test_product(const char* path, const native_tensor* tensor, int32_t format,
                                       const float* activations, int32_t tokens, float* out);

// Chooses the token for sample `offset` of row `row` of a batch from raw logits [vocabulary], for tests
// of a kernel path. The batch needs no blocks but their count; results as in native_execute.
NATIVE_API int32_t native_test_sample(const char* path, const float* logits, int32_t vocabulary,
                                      const native_batch* batch, int32_t row, int32_t offset, native_sample* sample,
                                      int32_t* top_tokens, float* top_logprobs);

#ifdef __cplusplus
}
#endif
