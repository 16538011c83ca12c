#include "codec.h"

#include "maths.h"

enum { ROW_PADDING = 1, FILM_HIDDEN = 32 };

static const float NORM_EPSILON = 1.1920929e-7f;

size_t ae_context(ae_shape in, ae_kernel_shape kernel)
{
    return (size_t)(kernel.frames - kernel.frame_stride) * (size_t)in.rows * (size_t)in.channels;
}

void ae_apply_rows(const ae_kernels *kernels, const ae_dense *layer, float *y, const float *x, int rows)
{
    size_t outputs = (size_t)layer->outputs, padded = ae_padded(outputs);
    ae_apply(kernels, layer, y, padded, x, (size_t)layer->inputs, rows);
    if (padded != outputs)
        for (size_t row = 1; row < (size_t)rows; row++)
            memmove(y + row * outputs, y + row * padded, outputs * sizeof *y);
}

ae_shape ae_convolve(const ae_kernels *kernels, const ae_codec_work *work, const ae_dense *layer, ae_kernel_shape kernel,
                     float *y, const float *x, ae_shape in, float **state)
{
    size_t row = (size_t)in.rows * (size_t)in.channels, edge = ROW_PADDING * (size_t)in.channels;
    size_t height = row + 2 * edge, run = (size_t)kernel.rows * (size_t)in.channels;
    int32_t context = kernel.frames - kernel.frame_stride;
    ae_shape out = {in.frames / kernel.frame_stride,
                    (in.rows + 2 * ROW_PADDING - kernel.rows) / kernel.row_stride + 1, layer->outputs};
    for (int32_t t = 0; t < context + in.frames; t++) {
        float *line = work->seen + (size_t)t * height;
        memset(line, 0, edge * sizeof *line);
        memcpy(line + edge, t < context ? *state + (size_t)t * row : x + (size_t)(t - context) * row, row * sizeof *line);
        memset(line + edge + row, 0, edge * sizeof *line);
    }
    for (int32_t t = 0; t < context; t++)
        memcpy(*state + (size_t)t * row, work->seen + (size_t)(in.frames + t) * height + edge, row * sizeof *x);
    *state += (size_t)context * row;
    float *patch = work->patches;
    for (int32_t t = 0; t < out.frames; t++)
        for (int32_t r = 0; r < out.rows; r++)
            for (int32_t tap = 0; tap < kernel.frames; tap++, patch += run)
                memcpy(patch,
                       work->seen + (size_t)(t * kernel.frame_stride + tap) * height +
                           (size_t)(r * kernel.row_stride) * (size_t)in.channels,
                       run * sizeof *patch);
    ae_apply_rows(kernels, layer, y, work->patches, out.frames * out.rows);
    return out;
}

void ae_residual_add(const ae_kernels *kernels, const ae_codec_work *work, const ae_residual *layer, float *x,
                     ae_shape shape, float *spare, float **state)
{
    const ae_kernel_shape keeping = {3, 3, 1, 1};
    int values = (int)ae_values(shape);
    kernels->silu(spare, x, values);
    ae_convolve(kernels, work, &layer->conv, keeping, spare, spare, shape, state);
    kernels->silu(spare, spare, values);
    ae_apply_rows(kernels, &layer->point, work->patches, spare, shape.frames * shape.rows);
    for (int i = 0; i < values; i++)
        x[i] += work->patches[i];
}

ae_shape ae_upsample(const ae_kernels *kernels, const ae_codec_work *work, const ae_dense *layer, int32_t kernel_rows,
                     int32_t rows, int32_t stride, float *y, const float *x, ae_shape in)
{
    int32_t channels = layer->outputs / (stride * kernel_rows);
    ae_shape out = {in.frames * stride, rows, channels};
    ae_apply_rows(kernels, layer, work->patches, x, in.frames * in.rows);
    memset(y, 0, ae_values(out) * sizeof *y);
    const float *part = work->patches;
    for (int32_t t = 0; t < in.frames; t++)
        for (int32_t r = 0; r < in.rows; r++)
            for (int32_t step = 0; step < stride; step++)
                for (int32_t k = 0; k < kernel_rows; k++, part += channels) {
                    int32_t row = 2 * r + k - ROW_PADDING;
                    if (row < 0 || row >= rows)
                        continue;
                    float *target = y + (size_t)((t * stride + step) * rows + row) * (size_t)channels;
                    for (int32_t c = 0; c < channels; c++)
                        target[c] += part[c];
                }
    return out;
}

void ae_normalise(float *y, const float *x, const float *weight, int32_t width)
{
    float total = 0.0f;
    for (int32_t i = 0; i < width; i++)
        total += x[i] * x[i];
    float factor = 1.0f / sqrtf(total / (float)width + NORM_EPSILON);
    for (int32_t i = 0; i < width; i++)
        y[i] = x[i] * factor * weight[i];
}

void ae_modulate(const ae_kernels *kernels, const ae_codec_work *work, const ae_film *film, float *x, int32_t width,
                 const float *conditions)
{
    float hidden[FILM_HIDDEN];
    float *factors = work->wide[1];
    ae_apply_row(kernels, &film->inner, hidden, conditions);
    kernels->silu(hidden, hidden, FILM_HIDDEN);
    ae_apply_row(kernels, &film->outer, factors, hidden);
    for (int32_t i = 0; i < width; i++)
        x[i] = x[i] * (1.0f + factors[i]) + factors[width + i];
}

void ae_advance_block(const ae_codec *codec, const ae_kernels *kernels, const ae_codec_work *work, const ae_block *block,
                      float *tokens, float **state)
{
    int32_t width = codec->width, hidden = codec->hidden;
    float *h = *state, *first = work->wide[0], *second = work->wide[1];
    ae_normalise(work->conditioned, tokens, block->norm_time, width);
    ae_apply_row(kernels, &block->gru_input, first, work->conditioned);
    ae_apply_row(kernels, &block->gru_state, second, h);
    kernels->gru(h, first, second, width);
    for (int32_t i = 0; i < width; i++)
        tokens[i] += h[i];
    ae_normalise(work->conditioned, tokens, block->norm_mlp, width);
    ae_apply_row(kernels, &block->expand, first, work->conditioned);
    kernels->silu(second, first + hidden, hidden);
    for (int32_t i = 0; i < hidden; i++)
        second[i] *= first[i];
    ae_apply_row(kernels, &block->contract, first, second);
    for (int32_t i = 0; i < width; i++)
        tokens[i] += first[i];
    *state += width;
}
