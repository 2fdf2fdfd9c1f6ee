// From rows as a file stores them to tiles. See tiles.h.
#pragma once

#include <cstdint>

#include "blocks.h"
#include "tiles.h"

namespace native {

// Writes one tile of `format`. `rows` are the file's rows for the tile's 16 rows; null gives zeros.
// A format that is the stored type is taken over without loss; otherwise rows are read as float32
// and rounded: float formats to nearest, q8_0 and q4_1 in groups of 32.
void pack_tile(Stored type, const uint8_t* const (&rows)[kTileRows], size_t columns, Format format, uint8_t* tile);

// Whether `pack_tile` can make `format` of `type`.
bool can_pack(Stored type, Format format);

}  // namespace native
