#include "codec.h"

static const ae_kernel_shape STEM = {3, 3, 1, 1};

static ae_kernel_shape down_kernel(const ae_codec *codec, int level)
{
    int32_t stride = codec->strides[level];
    return (ae_kernel_shape){level == CODEC_LEVELS - 1 ? 3 : 4, 2 * stride, 2, stride};
}

static size_t residual_floats(ae_shape shape)
{
    return ae_context(shape, STEM);
}

size_t ae_encoder_floats(const ae_codec *codec)
{
    ae_shape shape = {codec->frames, CODEC_ROWS[0], 1};
    size_t floats = ae_context(shape, STEM);
    shape.channels = codec->channels[0];
    for (int i = 0; i < CODEC_LEVELS; i++) {
        floats += ae_context(shape, down_kernel(codec, i));
        shape = (ae_shape){shape.frames / codec->strides[i], CODEC_ROWS[i + 1], codec->channels[i + 1]};
        floats += residual_floats(shape);
    }
    return floats + (size_t)codec->encoder_blocks * (size_t)codec->width;
}

/* Conditions of a target SNR: in tens of dB, and that it is known. */
static void target_inputs(const float *target_snr_db, float conditions[CODEC_CONDITIONS_IN])
{
    conditions[0] = target_snr_db ? *target_snr_db / 10.0f : 0.0f;
    conditions[1] = target_snr_db ? 1.0f : 0.0f;
}

/* Tokens of a normalised image [frames, 20] before their blocks, in work->tokens. */
static void pyramid(const ae_codec *codec, const ae_kernels *k, const ae_codec_work *work, const float *image,
                    float **state)
{
    float *x = work->image[0], *y = work->image[1];
    ae_shape shape = {codec->frames, CODEC_ROWS[0], 1};
    shape = ae_convolve(k, work, &codec->encoder.stem, STEM, x, image, shape, state);
    int32_t row = shape.rows * shape.channels;
    for (int32_t t = 0; t < shape.frames; t++)
        for (int32_t i = 0; i < row; i++)
            x[t * row + i] += codec->encoder.row_bias[i];
    k->silu(x, x, (int)ae_values(shape));
    for (int i = 0; i < CODEC_LEVELS; i++) {
        shape = ae_convolve(k, work, &codec->encoder.down[i], down_kernel(codec, i), y, x, shape, state);
        ae_residual_add(k, work, &codec->encoder.residual[i], y, shape, x, state);
        float *other = x;
        x = y;
        y = other;
    }
    int values = (int)ae_values(shape);
    k->silu(work->inputs, x, values);
    memcpy(work->inputs + values, image, (size_t)(codec->frames * AETHER_FEATURES) * sizeof *image);
    ae_apply_row(k, &codec->encoder.project, work->tokens, work->inputs);
}

void ae_codec_encode(const ae_codec *codec, const ae_kernels *kernels, const ae_codec_work *work, float *state,
                     const float *features, const float *target_snr_db, float *latents)
{
    int32_t width = codec->width;
    size_t patch = (size_t)(codec->frames * AETHER_FEATURES);
    float *image = work->conditioned, conditions[CODEC_CONDITIONS_IN];
    ae_apply_rows(kernels, &codec->encoder.rows, work->image[0], features, codec->frames);
    memcpy(image, work->image[0], patch * sizeof *image);
    pyramid(codec, kernels, work, image, &state);
    float *linear = work->inputs + 3 * width;
    memmove(linear, image, codec->linear ? patch * sizeof *image : 0); /* blocks use the room of the image */
    for (int32_t i = 0; i < codec->encoder_blocks; i++)
        ae_advance_block(codec, kernels, work, &codec->encoder.block[i], work->tokens, &state);
    ae_normalise(work->inputs, work->tokens, codec->encoder.norm, width);
    target_inputs(target_snr_db, conditions);
    ae_modulate(kernels, work, &codec->encoder.film, work->inputs, width, conditions);
    ae_apply_row(kernels, &codec->encoder.expand, work->wide[0], work->inputs);
    kernels->silu(work->inputs + width, work->wide[0], 2 * width);
    ae_apply_row(kernels, &codec->encoder.latents, latents, work->inputs);
}
