/* Latents to symbols or bits, and what is received of them to inputs of the decoder's networks; what is computed is
 * said where Python computes it: aether_lite.jscc.bottleneck and aether_lite.hash. */
#ifndef AETHER_BOTTLENECK_H
#define AETHER_BOTTLENECK_H

#include "codec.h"

/* Floats of a token: two for a symbol, one for a bit. */
int32_t ae_token_floats(const ae_codec *codec, int32_t rate);

/* A token of latents [2 pairs]; target_snr_db is NULL for any channel, else in -10..30. saved: energy that held power
 * has saved so far [tokens]. */
void ae_send(const ae_codec *codec, int32_t rate, const float *target_snr_db, const float *latents, float *token,
             float *saved);

/* Inputs [3 pairs] and conditions of a token that ae_accept made. */
void ae_receive(const ae_codec *codec, int32_t rate, const aether_received *token, float *inputs,
                float conditions[CODEC_CONDITIONS_OUT]);

#endif
