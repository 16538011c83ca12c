/* The receiver's door: what comes from outside is made fit for a decoder before anything is computed from it. Absurd
 * values count as erased, and units do not matter; the rules are those of aether_lite.reception. */
#ifndef AETHER_RECEPTION_H
#define AETHER_RECEPTION_H

#include "codec.h"

/* Floats of the state: power gains of the last tokens, the newest last; 0 is none. Symbols alone have them. */
size_t ae_levels(const ae_codec *codec);

typedef struct {
    float *values, *gain, *sorted;
} ae_door_work;

ae_door_work ae_take_door_work(const ae_codec *codec, ae_arena *arena);

/* A token of any values in reference units: `lost` if it is erased; else symbols have a gain each. Its noise variance
 * is NaN where it is unknown. */
aether_received ae_accept(const ae_codec *codec, const ae_door_work *work, int32_t rate, const aether_received *token,
                          float *levels);

#endif
