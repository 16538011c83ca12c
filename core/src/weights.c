#include "weights.h"

#include "aether.h"
#include "kernels.h"
#include "sha256.h"

#include <string.h>

static const char MAGIC[8] = {'A', 'E', 'T', 'H', 'E', 'R', 'N', 'W'};
static const uint32_t MOST_SECTIONS = 4096, MOST_VALUES = 1u << 20; /* far beyond any network; sizes fit 64 bits */

static uint32_t u32(const uint8_t *place)
{
    return (uint32_t)place[0] | (uint32_t)place[1] << 8 | (uint32_t)place[2] << 16 | (uint32_t)place[3] << 24;
}

static uint64_t u64(const uint8_t *place)
{
    return u32(place) | (uint64_t)u32(place + 4) << 32;
}

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + AETHER_ALIGNMENT - 1) / AETHER_ALIGNMENT * AETHER_ALIGNMENT;
}

/* Bytes of a section's data; 0 for an unknown kind. */
static uint64_t data_bytes(uint32_t kind, uint64_t rows, uint64_t columns)
{
    uint64_t padded = ae_padded((size_t)rows);
    switch (kind) {
    case AE_FLOAT32:
    case AE_INT32: return 4 * rows * columns;
    case AE_PANELS_F32: return 4 * padded * columns;
    case AE_PANELS_F16: return 2 * padded * columns;
    case AE_PANELS_I8: return padded * ((columns + 1) / 2 * 2);
    default: return 0;
    }
}

/* Read an entry of the table, whose data must begin at `place`; the end of its data, 0 for a wrong entry. */
static uint64_t check_entry(const uint8_t *entry, uint64_t place, uint64_t size)
{
    uint32_t rows = u32(entry + 44), columns = u32(entry + 48);
    if (!memchr(entry, 0, AE_NAME) || !entry[0] || !rows || !columns || rows > MOST_VALUES || columns > MOST_VALUES)
        return 0;
    uint64_t bytes = data_bytes(u32(entry + 40), rows, columns);
    if (!bytes || u64(entry + 56) != place || bytes > size || place > size - bytes)
        return 0;
    return aligned(place + bytes);
}

int ae_file_open(ae_file *file, const void *bytes, size_t size)
{
    const uint8_t *head = bytes;
    if ((uintptr_t)bytes % AETHER_ALIGNMENT)
        return AETHER_ERROR_MEMORY;
    if (size < AE_HEADER || memcmp(head, MAGIC, sizeof MAGIC) != 0)
        return AETHER_ERROR_NOT_WEIGHTS;
    if (u32(head + 8) != AE_FORMAT)
        return AETHER_ERROR_VERSION;
    if (u64(head + 16) != size || size % AETHER_ALIGNMENT)
        return AETHER_ERROR_DAMAGED;
    uint32_t sections = u32(head + 12);
    uint64_t place = AE_HEADER + (uint64_t)sections * AE_ENTRY;
    if (sections > MOST_SECTIONS || place > size)
        return AETHER_ERROR_WEIGHTS;
    for (uint32_t i = 0; i < sections; i++) {
        place = check_entry(head + AE_HEADER + (size_t)i * AE_ENTRY, place, size);
        if (!place)
            return AETHER_ERROR_WEIGHTS;
    }
    if (place != size)
        return AETHER_ERROR_WEIGHTS;
    file->bytes = head;
    file->sections = sections;
    file->digest = head + AE_HEADER - AE_DIGEST;
    return AETHER_OK;
}

int ae_file_check(const ae_file *file, size_t size)
{
    uint8_t digest[AE_DIGEST];
    ae_sha256(file->bytes, AE_HEADER - AE_DIGEST, file->bytes + AE_HEADER, size - AE_HEADER, digest);
    return memcmp(digest, file->digest, AE_DIGEST) == 0 ? AETHER_OK : AETHER_ERROR_DAMAGED;
}

int ae_find(const ae_file *file, const char *name, ae_section *section)
{
    for (uint32_t i = 0; i < file->sections; i++) {
        const uint8_t *entry = file->bytes + AE_HEADER + (size_t)i * AE_ENTRY;
        if (strcmp((const char *)entry, name) == 0) {
            section->kind = (ae_kind)u32(entry + 40);
            section->rows = (int32_t)u32(entry + 44);
            section->columns = (int32_t)u32(entry + 48);
            section->data = file->bytes + u64(entry + 56);
            return 1;
        }
    }
    return 0;
}
