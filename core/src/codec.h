/* The codec's networks, one token at a time: features to latents, and estimates of latents to features.
 *
 * What they compute is said where Python computes it: aether_lite.spi and aether_lite.jscc. Images lie as [frames,
 * rows, channels]; a convolution's inputs come in the order (frame, row, channel). Sizes are those of the file. */
#ifndef AETHER_CODEC_H
#define AETHER_CODEC_H

#include "layers.h"

enum {
    CODEC_LEVELS = 3,
    CODEC_MOST_BLOCKS = 16,
    CODEC_MOST_RATES = 16,
    CODEC_TARGETS = 11, /* target SNRs with measured powers: -10, -6 .. 30 dB */
    CODEC_CONDITIONS_IN = 2,  /* of the encoder: SNR and its flag */
    CODEC_CONDITIONS_OUT = 4, /* of the decoder: the same, rate, erasure */
};

extern const int32_t CODEC_ROWS[CODEC_LEVELS + 1]; /* of the image after stem and levels */

typedef struct {
    ae_dense conv, point;
} ae_residual;

typedef struct {
    const float *norm_time, *norm_mlp;
    ae_dense gru_input, gru_state, expand, contract;
} ae_block;

typedef struct {
    ae_dense inner, outer;
} ae_film;

typedef struct {
    int32_t frames; /* of a token */
    int32_t width, hidden, pairs; /* of tokens; of a block's gated layer; complex latents of a token */
    int32_t lookahead, bits, linear, long_term, holds; /* 0 or 1 */
    int32_t encoder_blocks, decoder_blocks, channels[CODEC_LEVELS + 1];
    int32_t strides[CODEC_LEVELS]; /* of frames, encoder's order */
    int32_t rates[CODEC_MOST_RATES], rate_count, default_rate;
    const float *power, *target_power; /* [2 pairs], [11, 2 pairs] mean squares of latents; NULL where not known */

    struct {
        ae_dense rows, stem, down[CODEC_LEVELS], project, expand, latents;
        const float *row_bias, *norm;
        ae_residual residual[CODEC_LEVELS];
        ae_block block[CODEC_MOST_BLOCKS];
        ae_film film;
    } encoder;
    struct {
        ae_dense expand, tokens, ahead, project, up[CODEC_LEVELS], out, patch, features;
        const float *norm;
        ae_film film_hidden, film_token;
        ae_block block[CODEC_MOST_BLOCKS];
        ae_residual residual[CODEC_LEVELS];
    } decoder;
} ae_codec;

/* The codec of a file; loader->error tells whether it is whole. */
void ae_codec_load(ae_codec *codec, ae_loader *loader);

/* Elements of a token, symbols or bits; 0 for a rate that the codec does not serve. */
int32_t ae_codec_elements(const ae_codec *codec, int32_t rate);

/* Room for the work of a token, either way. */
typedef struct {
    float *image[2];       /* frames, rows, channels */
    float *seen, *patches; /* of a convolution */
    float *tokens, *inputs, *wide[2], *conditioned;
} ae_codec_work;

ae_codec_work ae_codec_take_work(const ae_codec *codec, ae_arena *arena);

size_t ae_encoder_floats(const ae_codec *codec);
size_t ae_decoder_floats(const ae_codec *codec);

/* Latents [2 pairs] (room for padded ones) of features [frames, 20]; target_snr_db is NULL for any channel. */
void ae_codec_encode(const ae_codec *codec, const ae_kernels *kernels, const ae_codec_work *work, float *state,
                     const float *features, const float *target_snr_db, float *latents);

/* Features [frames, 20] of inputs [3 pairs] and conditions [4]; those of the token before where it looks ahead. */
void ae_codec_decode(const ae_codec *codec, const ae_kernels *kernels, const ae_codec_work *work, float *state,
                     const float *inputs, const float *conditions, float *features);

/* ---- What both directions are made of; codec_layers.c ---- */

typedef struct {
    int32_t frames, rows, channels;
} ae_shape;

typedef struct {
    int32_t rows, frames, row_stride, frame_stride;
} ae_kernel_shape;

static inline size_t ae_values(ae_shape shape)
{
    return (size_t)shape.frames * (size_t)shape.rows * (size_t)shape.channels;
}

/* Floats of a convolution's state: the last frames before. */
size_t ae_context(ae_shape in, ae_kernel_shape kernel);

/* y = layer of rows x [rows, inputs], compact; y needs room for padded outputs. */
void ae_apply_rows(const ae_kernels *kernels, const ae_dense *layer, float *y, const float *x, int rows);

/* A causal convolution; the shape of y. The state is replaced and *state moves behind it. */
ae_shape ae_convolve(const ae_kernels *kernels, const ae_codec_work *work, const ae_dense *layer, ae_kernel_shape kernel,
                     float *y, const float *x, ae_shape in, float **state);

/* x + point(silu(conv(silu(x)))) in place; `spare` has room for as much. */
void ae_residual_add(const ae_kernels *kernels, const ae_codec_work *work, const ae_residual *layer, float *x,
                     ae_shape shape, float *spare, float **state);

/* A transposed convolution to `rows` rows and `stride` times the frames. */
ae_shape ae_upsample(const ae_kernels *kernels, const ae_codec_work *work, const ae_dense *layer, int32_t kernel_rows,
                     int32_t rows, int32_t stride, float *y, const float *x, ae_shape in);

/* y = x / rms(x) * weight. */
void ae_normalise(float *y, const float *x, const float *weight, int32_t width);

/* x * (1 + scale) + shift in place, from conditions. */
void ae_modulate(const ae_kernels *kernels, const ae_codec_work *work, const ae_film *film, float *x, int32_t width,
                 const float *conditions);

/* A sequence block in place; its state h [width] is advanced and *state moves behind it. */
void ae_advance_block(const ae_codec *codec, const ae_kernels *kernels, const ae_codec_work *work, const ae_block *block,
                      float *tokens, float **state);

#endif
