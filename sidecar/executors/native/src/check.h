// What is wrong with what came through the C interface; empty when nothing is.
#pragma once

#include <string>

#include "abi.h"
#include "model.h"

namespace native {

constexpr int32_t kMaxSize = 1 << 24;
constexpr int32_t kMaxThreads = 256;

std::string check_config(const native_config* config);
std::string check_tensor(const native_tensor* tensor, int64_t rows, int64_t columns);
std::string check_format(const native_tensor& tensor, int32_t format);
std::string check_batch(const Model& model, const native_batch* batch);
// Everything about a batch that choosing a token for sample `offset` of a row reads.
std::string check_sample(const native_batch* batch, int32_t row, int32_t offset, int32_t vocabulary);
std::string check_blocks(const Model& model, const int32_t* blocks, int32_t count);

}  // namespace native
