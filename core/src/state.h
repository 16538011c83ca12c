/* States of streams: whole numbers, then doubles, then floats, one after the other in memory and in what is saved.
 *
 * What is saved has a head of 64 bytes:
 *
 *   0   8  "AETHERST"
 *   8   4  version of the library's states, 2
 *  12   4  kind of stream (ae_stream)
 *  16   8  bytes in all
 *  24   8  first bytes of the digest of the weights
 *  32  32  SHA-256 of bytes 0..31 and of all from byte 64 on */
#ifndef AETHER_STATE_H
#define AETHER_STATE_H

#include "arena.h"

typedef enum { AE_VOCODER = 1, AE_FRONT_END = 2, AE_ENCODER = 3, AE_DECODER = 4 } ae_stream;

typedef struct {
    ae_stream kind;
    const uint8_t *id;             /* 8 bytes */
    int32_t whole;                 /* even */
    const int32_t (*limits)[2];    /* least and greatest of every whole number */
    size_t doubles, floats;
    void *values;                  /* all of them */
} ae_state;

static inline size_t ae_state_bytes(const ae_state *state)
{
    return (size_t)state->whole * sizeof(int32_t) + state->doubles * sizeof(double) + state->floats * sizeof(float);
}

static inline int32_t *ae_state_whole(const ae_state *state)
{
    return state->values;
}

static inline double *ae_state_doubles(const ae_state *state)
{
    return (double *)(void *)((uint8_t *)state->values + (size_t)state->whole * sizeof(int32_t));
}

static inline float *ae_state_floats(const ae_state *state)
{
    return (float *)(void *)((uint8_t *)state->values + (size_t)state->whole * sizeof(int32_t) +
                             state->doubles * sizeof(double));
}

/* Take memory for the values. */
static inline void ae_state_take(ae_state *state, ae_arena *arena)
{
    state->values = ae_take(arena, ae_state_bytes(state));
}

static inline void ae_state_clear(const ae_state *state)
{
    memset(state->values, 0, ae_state_bytes(state));
}

size_t ae_saved_bytes(const ae_state *state);
int ae_save(const ae_state *state, void *saved, size_t bytes);
int ae_load(const ae_state *state, const void *saved, size_t bytes);

#endif
