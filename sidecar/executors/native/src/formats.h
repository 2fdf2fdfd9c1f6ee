// Reading the tiles of each format: chunks of codes, scales, minimums. See tiles.h for the layout.
#pragma once

#include <type_traits>
#include <utility>

#include "activations.h"
#include "tiles.h"

namespace native {

template <int value>
using Number = std::integral_constant<int, value>;

// Calls work(Number<0>), ..., work(Number<count - 1>): a loop whose index is a constant.
template <int count, class Work, int... index>
inline void for_each_part(Work work, std::integer_sequence<int, index...>) {
    (work(Number<index>{}), ...);
}
template <int count, class Work>
inline void for_each_part(Work work) {
    for_each_part<count>(work, std::make_integer_sequence<int, count>{});
}

// Calls work with the format as a constant.
template <class Work, int... index>
inline void with_format(Format format, Work work, std::integer_sequence<int, index...>) {
    ((int(format) == index ? work(std::integral_constant<Format, Format(index)>{}) : void()), ...);
}
template <class Work>
inline void with_format(Format format, Work work) {
    with_format(format, work, std::make_integer_sequence<int, int(Format::count)>{});
}

// One group of a tile, its scales read.
template <class Simd, Format format>
class FormatReader {
    using F = typename Simd::F;
    static constexpr FormatTraits traits = traits_of(format);
    static constexpr bool is_biased = traits.bits == 8;
    static constexpr int zero_point = is_biased ? Simd::biased_zero_point : traits.zero_point;
    static constexpr bool is_nested = traits.scales == Scales::nested || traits.scales == Scales::nested_16;

  public:
    // Parts of a group that have scales of their own.
    static constexpr int parts = traits.scales == Scales::nested_16 ? 2 : 1;
    static constexpr bool has_minimum = traits.scales == Scales::half_minimum || traits.scales == Scales::nested;

    FormatReader(const uint8_t* scales, size_t group) {
        if constexpr (is_nested) {
            factors_ = scales + group / kNestedGroups * (64 + kNestedGroups * 32);
            numbers_ = factors_ + 64 + group % kNestedGroups * 32;
        } else {
            factors_ = scales + group * (has_minimum ? 64 : 32);
        }
    }

    template <int part>
    F scale() const {
        if constexpr (traits.scales == Scales::nested)
            return Simd::mul(factor(0), Simd::load_unsigned(numbers_));
        else if constexpr (traits.scales == Scales::nested_16)
            return Simd::mul(factor(0), Simd::load_signed(reinterpret_cast<const int8_t*>(numbers_) + 16 * part));
        else
            return factor(0);
    }

    F minimum() const {
        if constexpr (traits.scales == Scales::nested)
            return Simd::sub(Simd::zero(), Simd::mul(factor(1), Simd::load_unsigned(numbers_ + 16)));
        else
            return factor(1);
    }

    // Where a part's integer sum begins, so that it ends as if codes had been moved by the zero point.
    template <int part>
    static int32_t start(const ActivationGroup& input, int token) {
        if constexpr (zero_point == 0) return 0;
        uint32_t sum = uint32_t(input.sum[token]), first_half = uint32_t(input.first_half_sum[token]);
        return int32_t((parts == 1 ? sum : part == 0 ? first_half : sum - first_half) * uint32_t(-zero_point));
    }

    template <int index>
    static typename Simd::B chunk(const uint8_t* codes) {
        if constexpr (traits.bits == 8) {
            return Simd::load_codes(codes + 64 * index);
        } else {
            auto packed = Simd::load_codes(codes + 64 * (index % 4));
            auto low = index < 4 ? Simd::low_halves(packed) : Simd::high_halves(packed);
            if constexpr (traits.bits == 5)
                return Simd::unite(low, Simd::template high_bits<index>(Simd::load_codes(codes + 256), 1));
            else if constexpr (traits.bits == 6)
                return Simd::unite(low, Simd::template high_bits<index % 4 * 2>(
                                            Simd::load_codes(codes + 256 + 64 * (index / 4)), 3));
            else
                return low;
        }
    }

    static typename Simd::I dot(typename Simd::I sum, typename Simd::B codes, const int8_t* activations) {
        if constexpr (is_biased) return Simd::dot_biased(sum, codes, activations);
        else return Simd::dot(sum, codes, activations);
    }

  private:
    F factor(int index) const {
        return Simd::load_float16(reinterpret_cast<const uint16_t*>(factors_ + 32 * index));
    }

    const uint8_t* factors_;
    const uint8_t* numbers_ = nullptr;
};

// 16 rows of one column of plain floats.
template <class Simd, Format format>
inline typename Simd::F load_floats(const uint8_t* tile, size_t column) {
    size_t place = column * kTileRows;
    if constexpr (format == Format::float32) return Simd::load(reinterpret_cast<const float*>(tile) + place);
    else if constexpr (format == Format::float16)
        return Simd::load_float16(reinterpret_cast<const uint16_t*>(tile) + place);
    else return Simd::load_bfloat16(reinterpret_cast<const uint16_t*>(tile) + place);
}

}  // namespace native
