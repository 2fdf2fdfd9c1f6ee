// Every wrong argument is refused, with a reason.
#include <cmath>
#include <functional>

#include "step.h"
#include "tiny_model.h"

namespace self_check {

namespace {

void refused(int64_t code, const char* what) {
    expect(code != 0, "%s was taken", what);
    expect(native_error()[0] != 0, "%s was refused without a reason", what);
}

void check_configs() {
    struct Wrong { const char* what; void (*change)(native_config&); };
    const Wrong wrongs[] = {
        {"no vocabulary", [](native_config& c) { c.vocabulary = 0; }},
        {"a huge vocabulary", [](native_config& c) { c.vocabulary = INT32_MAX; }},
        {"no hidden size", [](native_config& c) { c.hidden = 0; }},
        {"no intermediate size", [](native_config& c) { c.intermediate = -1; }},
        {"no layers", [](native_config& c) { c.layers = 0; }},
        {"no heads", [](native_config& c) { c.heads = 0; }},
        {"no key heads", [](native_config& c) { c.key_heads = 0; }},
        {"heads that cannot share", [](native_config& c) { c.heads = 5; }},
        {"a head size of 24", [](native_config& c) { c.head_size = 24; }},
        {"a head size of 272", [](native_config& c) { c.head_size = 272; }},
        {"an odd rotary size", [](native_config& c) { c.rotary = 7; }},
        {"a rotary size beyond the head", [](native_config& c) { c.rotary = 18; }},
        {"a window below 0", [](native_config& c) { c.window = -1; }},
        {"no threads", [](native_config& c) { c.threads = 0; }},
        {"a thousand threads", [](native_config& c) { c.threads = 1000; }},
        {"an epsilon of 0", [](native_config& c) { c.epsilon = 0; }},
        {"an epsilon that is no number", [](native_config& c) { c.epsilon = NAN; }},
    };
    for (const Wrong& wrong : wrongs) {
        native_config config = kTinyConfig;
        wrong.change(config);
        Handle model(native_create(&config, "auto"), native_destroy);
        refused(!model, wrong.what);
        expect(native_block_bytes(&config, 0) == -1, "the blocks of %s have bytes", wrong.what);
    }
    refused(!Handle(native_create(nullptr, "auto"), native_destroy), "no config");
    refused(!Handle(native_create(&kTinyConfig, nullptr), native_destroy), "no path");
    refused(!Handle(native_create(&kTinyConfig, "sse9"), native_destroy), "an unknown path");
    expect(native_block_bytes(&kTinyConfig, 4) == -1 && native_block_bytes(&kTinyConfig, -1) == -1, "a cache type");
    expect(native_matrix_bytes(-1, 1, 32) == -1 && native_matrix_bytes(99, 1, 32) == -1, "a format's bytes");
    expect(native_matrix_bytes(0, 0, 32) == -1 && native_matrix_bytes(0, 1, 0) == -1, "an empty matrix's bytes");
}

void check_tensors(const TinyWeights& weights) {
    Handle model = weights.load("auto", kTinyConfig);
    const native_tensor query = weights.at(0, NATIVE_QUERY).view(), norm = weights.at(0, NATIVE_INPUT_NORM).view();
    auto matrix = [&](const char* what, std::function<void(native_tensor&, int32_t&, int32_t&, int32_t&)> change) {
        native_tensor tensor = query;
        int32_t layer = 1, slot = NATIVE_QUERY, format = query.stored;
        change(tensor, layer, slot, format);
        refused(native_set_matrix(model.get(), layer, slot, &tensor, format), what);
    };
    matrix("a layer below 0", [](native_tensor&, int32_t& layer, int32_t&, int32_t&) { layer = -1; });
    matrix("a layer too many", [](native_tensor&, int32_t& layer, int32_t&, int32_t&) { layer = 2; });
    matrix("a vector's slot", [](native_tensor&, int32_t&, int32_t& slot, int32_t&) { slot = NATIVE_INPUT_NORM; });
    matrix("an unknown slot", [](native_tensor&, int32_t&, int32_t& slot, int32_t&) { slot = NATIVE_SLOTS; });
    matrix("a slot below 0", [](native_tensor&, int32_t&, int32_t& slot, int32_t&) { slot = -1; });
    matrix("another slot's shape", [](native_tensor&, int32_t&, int32_t& slot, int32_t&) { slot = NATIVE_DOWN; });
    matrix("an unknown format", [](native_tensor&, int32_t&, int32_t&, int32_t& format) { format = 99; });
    matrix("a format that cannot be made", [](native_tensor&, int32_t&, int32_t&, int32_t& format) { format = int32_t(native::Format::q6_k); });
    matrix("an unknown stored type", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { t.stored = 99; });
    matrix("a stored type below 0", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { t.stored = -1; });
    matrix("a byte too few", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { --t.bytes; });
    matrix("a row too many", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { ++t.rows; });
    matrix("columns that are no blocks", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { t.stored = int32_t(native::Stored::q4_k); });
    matrix("rows that are no heads", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { t.permuted_heads = 7; });
    matrix("heads below 0", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { t.permuted_heads = -1; });
    matrix("no data", [](native_tensor& t, int32_t&, int32_t&, int32_t&) { t.data = nullptr; });
    refused(native_set_matrix(model.get(), 0, NATIVE_QUERY, nullptr, 0), "no tensor");
    refused(native_set_matrix(nullptr, 0, NATIVE_QUERY, &query, query.stored), "a matrix of no model");
    refused(native_set_vector(nullptr, 0, NATIVE_INPUT_NORM, &norm), "a vector of no model");
    refused(native_set_vector(model.get(), 2, NATIVE_INPUT_NORM, &norm), "a vector's layer too many");
    refused(native_set_vector(model.get(), 0, NATIVE_QUERY, &norm), "a matrix's slot");
    refused(native_set_vector(model.get(), 0, NATIVE_QUERY_NORM, &norm), "a vector of another size");
    Random random(5);
    native_tensor packed = random_tensor(native::Stored::q8_0, 1, 64, random).view();
    refused(native_set_vector(model.get(), 0, NATIVE_INPUT_NORM, &packed), "a quantized vector");
    float out;
    refused(native_test_product("sse9", &query, query.stored, &out, 1, &out), "an unknown path's product");
    refused(native_test_product("auto", &query, 99, &out, 1, &out), "an unknown format's product");
    refused(native_test_product("auto", &query, query.stored, &out, 0, &out), "a product of no tokens");
    expect(native_test_bandwidth(16, 1) == -1, "a bandwidth over 16 bytes");
    expect(native_test_bandwidth(1 << 20, 0) == -1, "a bandwidth of no threads");
    expect(native_test_bandwidth(1 << 20, 2) > 0, "no bandwidth");
    expect(native_test_multiplications("sse9", query.stored, 8, 1) == -1, "an unknown path's multiplications");
    expect(native_test_multiplications("auto", 0, 8, 1) == -1, "multiplications of plain floats");
    expect(native_test_multiplications("auto", 99, 8, 1) == -1, "an unknown format's multiplications");
    expect(native_test_multiplications("auto", int32_t(native::Format::q4_1), 8, 0) == -1, "no thread's multiplications");
    expect(native_test_multiplications("auto", int32_t(native::Format::q4_1), 65, 1) == -1, "too many tokens");
}

void check_caches(const TinyWeights& weights) {
    Handle model = weights.load("auto", kTinyConfig);
    int32_t pair[] = {0, 1}, outside[] = {0, 4}, below[] = {-1, 0};
    refused(native_copy_blocks(model.get(), pair, 1), "a copy without a cache");
    refused(native_allocate_cache(nullptr, 4, 0), "a cache of no model");
    refused(native_allocate_cache(model.get(), 0, 0), "a cache without blocks");
    refused(native_allocate_cache(model.get(), 4, 4), "an unknown type of cache");
    expect(!native_allocate_cache(model.get(), 4, 0), "no cache: %s", native_error());
    std::vector<uint8_t> content(size_t(native_block_bytes(&kTinyConfig, 0)));
    int64_t bytes = int64_t(content.size());
    for (int32_t* blocks : {outside, below}) {
        refused(native_copy_blocks(model.get(), blocks, 1), "a copy of a block outside");
        refused(native_export_blocks(model.get(), blocks, 2, content.data(), 2 * bytes), "a block outside, taken out");
        refused(native_import_blocks(model.get(), blocks, 2, content.data(), 2 * bytes), "a block outside, put in");
    }
    refused(native_copy_blocks(model.get(), nullptr, 1), "no pairs");
    refused(native_copy_blocks(model.get(), pair, -1), "fewer than no pairs");
    refused(native_copy_blocks(model.get(), pair, INT32_MAX), "more pairs than can be counted");
    refused(native_export_blocks(model.get(), pair, 1, content.data(), bytes - 1), "a byte too few, taken out");
    refused(native_import_blocks(model.get(), pair, 1, content.data(), bytes + 1), "a byte too many, put in");
    refused(native_import_blocks(model.get(), pair, 1, nullptr, bytes), "no content");
    double seconds[native::kPhases];
    refused(native_take_times(model.get(), seconds, native::kPhases - 1), "room for too few phases");
    refused(native_take_times(model.get(), nullptr, native::kPhases), "no room for phases");
}

}  // namespace

void check_batches(const TinyWeights& weights);

void check_errors() {
    TinyWeights weights(TinyWeights::blocks, kTinyConfig, 300);
    check_configs();
    check_tensors(weights);
    check_caches(weights);
    check_batches(weights);
    expect(native_abi_version() == NATIVE_ABI_VERSION, "the version of the interface");
    expect(native_path(100, nullptr) == nullptr, "a hundredth path");
}

}  // namespace self_check
