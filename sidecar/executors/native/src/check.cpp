#include "check.h"

#include <cmath>

#include "blocks.h"
#include "pack.h"

namespace native {

namespace {

std::string number(int64_t value) { return std::to_string(value); }

std::string outside(const char* name, int64_t value, int64_t low, int64_t high) {
    return std::string(name) + " is " + number(value) + "; it must be from " + number(low) + " to " + number(high);
}

// A part [first, first + count) of an array of `size` entries.
bool is_part(int64_t first, int64_t count, int64_t size) {
    return first >= 0 && count >= 0 && first + count <= size;
}

std::string check_sampling(const native_sampling& sampling, int32_t top_logprobs) {
    for (double value : {sampling.temperature, sampling.top_p, sampling.min_p, sampling.typical_p,
                         sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty})
        if (!std::isfinite(value)) return "a sampling parameter is not finite";
    if (sampling.temperature < 0) return "the temperature is below 0";
    if (sampling.repetition_penalty <= 0) return "the repetition penalty is not above 0";
    if (sampling.top_logprobs < 0 || sampling.top_logprobs > top_logprobs)
        return outside("top_logprobs of a row", sampling.top_logprobs, 0, top_logprobs);
    return "";
}

std::string check_row(const native_batch& batch, const native_row& row, int64_t next_token) {
    if (!row.cancel) return "a row has no cancel byte";
    if (row.first_token != next_token) return "the tokens of the rows do not follow each other";
    if (row.tokens < 1 || !is_part(row.first_token, row.tokens, batch.token_count)) return "a row's tokens lie outside";
    if (row.start < 0 || int64_t(row.start) + row.tokens > int64_t(row.blocks) * kBlockSize)
        return "a row's positions lie outside its " + number(row.blocks) + " blocks";
    if (!is_part(row.first_block, row.blocks, batch.block_count)) return "a row's block table lies outside";
    if (row.samples < 0 || row.samples > row.tokens) return outside("samples", row.samples, 0, row.tokens);
    if (!is_part(row.first_penalty, row.penalties, batch.penalty_count)) return "a row's penalties lie outside";
    if (!is_part(row.first_bias, row.biases, batch.bias_count)) return "a row's biases lie outside";
    if (!is_part(row.first_forbidden, row.forbidden, batch.forbidden_count)) return "a row's forbidden tokens lie outside";
    if (!is_part(row.first_mask, row.masks, batch.mask_count)) return "a row's masks lie outside";
    if (row.masks != 0 && row.masks != row.samples) return "a row has masks for some of its samples";
    return row.samples ? check_sampling(row.sampling, batch.top_logprobs) : "";
}

std::string check_tokens(const native_batch& batch, int32_t vocabulary) {
    auto check_token = [=](int32_t token) {
        return token >= 0 && token < vocabulary ? "" : outside("a token", token, 0, vocabulary - 1);
    };
    std::string wrong;
    for (int32_t i = 0; i < batch.token_count && wrong.empty(); ++i) wrong = check_token(batch.tokens[i]);
    for (int32_t i = 0; i < batch.penalty_count && wrong.empty(); ++i) wrong = check_token(batch.penalties[i].token);
    for (int32_t i = 0; i < batch.bias_count && wrong.empty(); ++i) wrong = check_token(batch.biases[i].token);
    for (int32_t i = 0; i < batch.forbidden_count && wrong.empty(); ++i) wrong = check_token(batch.forbidden[i]);
    return wrong;
}

}  // namespace

std::string check_config(const native_config* config) {
    if (!config) return "there is no config";
    struct { const char* name; int32_t value, low, high; } const sizes[] = {
        {"vocabulary", config->vocabulary, 1, kMaxSize},
        {"hidden", config->hidden, 1, kMaxSize},
        {"intermediate", config->intermediate, 1, kMaxSize},
        {"layers", config->layers, 1, 4096},
        {"heads", config->heads, 1, 4096},
        {"key_heads", config->key_heads, 1, 4096},
        {"head_size", config->head_size, 16, kMaxHeadSize},
        {"rotary", config->rotary, 0, config->head_size},
        {"window", config->window, 0, INT32_MAX},
        {"threads", config->threads, 1, kMaxThreads},
    };
    for (const auto& size : sizes)
        if (size.value < size.low || size.value > size.high) return outside(size.name, size.value, size.low, size.high);
    if (config->head_size % 16) return "head_size is " + number(config->head_size) + "; it must be a multiple of 16";
    if (config->rotary % 2) return "rotary is " + number(config->rotary) + "; it must be even";
    if (config->heads % config->key_heads)
        return number(config->heads) + " heads cannot share " + number(config->key_heads) + " key heads";
    if (!(config->epsilon > 0) || !std::isfinite(config->epsilon)) return "epsilon must be a number above 0";
    return "";
}

std::string check_tensor(const native_tensor* tensor, int64_t rows, int64_t columns) {
    if (!tensor || !tensor->data) return "there is no tensor";
    if (tensor->stored < 0 || tensor->stored >= int32_t(Stored::count))
        return outside("stored", tensor->stored, 0, int32_t(Stored::count) - 1);
    if (tensor->rows != rows || tensor->columns != columns)
        return "the tensor is " + number(tensor->rows) + " x " + number(tensor->columns) + "; it must be " +
               number(rows) + " x " + number(columns);
    Stored stored = Stored(tensor->stored);
    if (columns % int64_t(block_numbers(stored)))
        return number(columns) + " columns are no multiple of a block's " + number(int64_t(block_numbers(stored)));
    int64_t bytes = rows * int64_t(row_bytes(stored, size_t(columns)));
    if (tensor->bytes != bytes) return "the tensor has " + number(tensor->bytes) + " bytes; it must have " + number(bytes);
    int64_t permuted = rows > 1 ? rows : columns;  // the numbers of a vector are one a row
    if (tensor->permuted_heads < 0 || (tensor->permuted_heads && permuted % (2 * int64_t(tensor->permuted_heads))))
        return number(permuted) + " rows cannot be " + number(tensor->permuted_heads) + " heads of pairs";
    return "";
}

std::string check_format(const native_tensor& tensor, int32_t format) {
    if (format < 0 || format >= int32_t(Format::count)) return outside("format", format, 0, int32_t(Format::count) - 1);
    if (!can_pack(Stored(tensor.stored), Format(format)))
        return "format " + number(format) + " cannot be made of what is stored as " + number(tensor.stored);
    return "";
}

std::string check_blocks(const Model& model, const int32_t* blocks, int32_t count) {
    if (count < 0 || (count && !blocks)) return "there are no blocks";
    for (int32_t i = 0; i < count; ++i)
        if (blocks[i] < 0 || size_t(blocks[i]) >= model.cache.blocks)
            return outside("a block", blocks[i], 0, int64_t(model.cache.blocks) - 1);
    return "";
}

std::string check_batch(const Model& model, const native_batch* batch) {
    if (!batch || !batch->rows || !batch->tokens || !batch->blocks) return "there is no batch";
    if (!model.cache.memory) return "there is no cache";
    std::string missing = model.missing();
    if (!missing.empty()) return missing + " is missing";
    if (batch->row_count < 1) return "there are no rows";
    if (batch->top_logprobs < 0) return "top_logprobs is below 0";
    int64_t next_token = 0;
    for (int32_t i = 0; i < batch->row_count; ++i) {
        std::string wrong = check_row(*batch, batch->rows[i], next_token);
        if (!wrong.empty()) return "row " + number(i) + ": " + wrong;
        next_token += batch->rows[i].tokens;
    }
    if (next_token != batch->token_count) return "there are more tokens than the rows have";
    std::string wrong = check_tokens(*batch, model.config.vocabulary);
    return wrong.empty() ? check_blocks(model, batch->blocks, batch->block_count) : wrong;
}

std::string check_sample(const native_batch* batch, int32_t row, int32_t offset, int32_t vocabulary) {
    if (!batch || !batch->rows || !batch->tokens) return "there is no batch";
    if (row < 0 || row >= batch->row_count) return outside("a row", row, 0, batch->row_count - 1);
    const native_row& sampled = batch->rows[row];
    if (offset < 0 || offset >= sampled.samples) return outside("a sample", offset, 0, sampled.samples - 1);
    std::string wrong = check_row(*batch, sampled, sampled.first_token);
    return wrong.empty() ? check_tokens(*batch, vocabulary) : wrong;
}

}  // namespace native
