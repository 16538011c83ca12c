#include "codec.h"

#include "maths.h"

static const ae_kernel_shape KEEPING = {3, 3, 1, 1};
static const float PITCH_BOUND = 1.5f, VOICING_BOUND = 0.5f;
enum { PITCH = 18, VOICING = 19 };

/* Frame stride of a level of the decoder, in its order. */
static int32_t stride_of(const ae_codec *codec, int level)
{
    return codec->strides[CODEC_LEVELS - 1 - level];
}

size_t ae_decoder_floats(const ae_codec *codec)
{
    size_t floats = (size_t)codec->decoder_blocks * (size_t)codec->width;
    if (codec->lookahead)
        floats += (size_t)codec->width + 3 * (size_t)codec->pairs;
    ae_shape shape = {1, CODEC_ROWS[CODEC_LEVELS], codec->channels[CODEC_LEVELS]};
    for (int i = 0; i < CODEC_LEVELS; i++) {
        int level = CODEC_LEVELS - 1 - i;
        floats += ae_context(shape, KEEPING);
        shape = (ae_shape){shape.frames * stride_of(codec, i), CODEC_ROWS[level], codec->channels[level]};
    }
    return floats + ae_context(shape, KEEPING);
}

/* Exchange values with those that wait in the state. */
static void exchange(float *values, float *waiting, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        float other = waiting[i];
        waiting[i] = values[i];
        values[i] = other;
    }
}

/* Tokens of inputs and conditions in work->tokens; inputs stay in work->inputs. */
static void map_inputs(const ae_codec *codec, const ae_kernels *k, const ae_codec_work *work, const float *inputs,
                       const float *conditions)
{
    int32_t width = codec->width, count = 3 * codec->pairs;
    ae_apply_row(k, &codec->decoder.expand, work->wide[0], inputs);
    ae_modulate(k, work, &codec->decoder.film_hidden, work->wide[0], 2 * width, conditions);
    memcpy(work->inputs, inputs, (size_t)count * sizeof *inputs);
    k->silu(work->inputs + count, work->wide[0], 2 * width);
    ae_apply_row(k, &codec->decoder.tokens, work->tokens, work->inputs);
    ae_modulate(k, work, &codec->decoder.film_token, work->tokens, width, conditions);
}

/* The image of x, the top of the pyramid in work->image[0], compact in work->image[0] or [1], which is returned. */
static float *pyramid(const ae_codec *codec, const ae_kernels *k, const ae_codec_work *work, float **state)
{
    float *x = work->image[0], *y = work->image[1];
    ae_shape shape = {1, CODEC_ROWS[CODEC_LEVELS], codec->channels[CODEC_LEVELS]};
    for (int i = 0; i < CODEC_LEVELS; i++) {
        int32_t rows = CODEC_ROWS[CODEC_LEVELS - 1 - i];
        ae_residual_add(k, work, &codec->decoder.residual[i], x, shape, y, state);
        shape = ae_upsample(k, work, &codec->decoder.up[i], i == 0 ? 3 : 4, rows, stride_of(codec, i), y, x, shape);
        k->silu(y, y, (int)ae_values(shape));
        float *other = x;
        x = y;
        y = other;
    }
    ae_convolve(k, work, &codec->decoder.out, KEEPING, y, x, shape, state);
    return y;
}

void ae_codec_decode(const ae_codec *codec, const ae_kernels *kernels, const ae_codec_work *work, float *state,
                     const float *inputs, const float *conditions, float *features)
{
    int32_t width = codec->width, values = codec->frames * AETHER_FEATURES;
    map_inputs(codec, kernels, work, inputs, conditions);
    if (codec->lookahead) {
        ae_apply_row(kernels, &codec->decoder.ahead, work->wide[0], work->tokens);
        exchange(work->tokens, state, width);
        exchange(work->inputs, state + width, 3 * codec->pairs);
        state += width + 3 * codec->pairs;
        for (int32_t i = 0; i < width; i++)
            work->tokens[i] += work->wide[0][i];
    }
    for (int32_t i = 0; i < codec->decoder_blocks; i++)
        ae_advance_block(codec, kernels, work, &codec->decoder.block[i], work->tokens, &state);
    ae_normalise(work->conditioned, work->tokens, codec->decoder.norm, width);
    ae_apply_row(kernels, &codec->decoder.project, work->image[0], work->conditioned);
    float *pairs = work->conditioned + width;
    for (int32_t i = 0; codec->linear && i < codec->pairs; i++) {
        pairs[2 * i] = work->inputs[3 * i];
        pairs[2 * i + 1] = work->inputs[3 * i + 1];
    }
    ae_apply_row(kernels, &codec->decoder.patch, work->wide[0], work->conditioned);
    float *image = pyramid(codec, kernels, work, &state);
    for (int32_t i = 0; i < values; i++)
        image[i] += work->wide[0][i];
    ae_apply_rows(kernels, &codec->decoder.features, work->wide[1], image, codec->frames);
    memcpy(features, work->wide[1], (size_t)values * sizeof *features);
    for (float *row = features; row < features + values; row += AETHER_FEATURES) {
        row[PITCH] = PITCH_BOUND * ae_tanh(row[PITCH] / PITCH_BOUND);
        row[VOICING] = VOICING_BOUND * ae_tanh(row[VOICING] / VOICING_BOUND);
    }
}
