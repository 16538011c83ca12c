/* Parts of the memory that a caller provides. With base NULL nothing is there and only the sum of bytes is of use. */
#ifndef AETHER_ARENA_H
#define AETHER_ARENA_H

#include "aether.h"

#include <string.h>

typedef struct {
    uint8_t *base;
    size_t used;
} ae_arena;

/* The next bytes, on a multiple of 64; NULL while counting. */
static inline void *ae_take(ae_arena *arena, size_t bytes)
{
    void *place = arena->base ? arena->base + arena->used : NULL;
    arena->used += (bytes + AETHER_ALIGNMENT - 1) / AETHER_ALIGNMENT * AETHER_ALIGNMENT;
    return place;
}

static inline float *ae_take_floats(ae_arena *arena, size_t count)
{
    return ae_take(arena, count * sizeof(float));
}

/* Whether memory that a caller gives is enough and aligned; an error code. */
static inline int ae_check_memory(const void *memory, size_t bytes, size_t needed)
{
    if (!memory)
        return AETHER_ERROR_ARGUMENT;
    return bytes < needed || (uintptr_t)memory % AETHER_ALIGNMENT ? AETHER_ERROR_MEMORY : AETHER_OK;
}

#endif
