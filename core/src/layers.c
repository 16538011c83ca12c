#include "layers.h"

#include "maths.h"

enum { INT8_REACH = 8191 }; /* inputs of integer products are rounded to multiples of their greatest / 8191 */

static void apply_int8(const ae_kernels *kernels, const ae_dense *layer, float *y, const float *x)
{
    int16_t whole[AE_MOST_INT8_INPUTS];
    float greatest = 0.0f;
    for (int i = 0; i < layer->inputs; i++)
        greatest = fabsf(x[i]) > greatest ? fabsf(x[i]) : greatest;
    greatest = greatest > AE_TINY ? greatest : AE_TINY;
    float inverse = INT8_REACH / greatest;
    for (int i = 0; i < layer->inputs; i++) {
        float shifted = x[i] * inverse + AE_ROUNDING;
        int32_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        bits = (int32_t)(int16_t)(bits & 0xffff); /* of a value that is not finite: anything */
        bits = bits > INT8_REACH ? INT8_REACH : bits;
        whole[i] = (int16_t)(bits < -INT8_REACH ? -INT8_REACH : bits);
    }
    whole[layer->inputs] = 0; /* fills up a pair */
    kernels->dense_i8(y, layer->weights, whole, greatest / INT8_REACH, layer->inputs, layer->outputs);
}

void ae_apply(const ae_kernels *kernels, const ae_dense *layer, float *y, size_t y_step, const float *x, size_t x_step,
              int rows)
{
    if (layer->kind == AE_PANELS_F32)
        kernels->dense_f32(y, y_step, layer->weights, x, x_step, layer->inputs, layer->outputs, rows);
    else if (layer->kind == AE_PANELS_F16)
        kernels->dense_f16(y, y_step, layer->weights, x, x_step, layer->inputs, layer->outputs, rows);
    else
        for (int row = 0; row < rows; row++)
            apply_int8(kernels, layer, y + (size_t)row * y_step, x + (size_t)row * x_step);
    if (layer->scale || layer->bias)
        for (int row = 0; row < rows; row++)
            kernels->affine(y + (size_t)row * y_step, layer->scale, layer->bias, layer->outputs);
}

/* float16 to float32, exact. */
static float widened(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    uint32_t bits = sign | (exponent + 112) << 23 | fraction << 13;
    float value;
    if (exponent == 31)
        bits = sign | 0x7f800000u | fraction << 13;
    if (exponent == 0) {
        float magnitude = (float)fraction * 5.9604644775390625e-8f; /* 2^-24 */
        memcpy(&bits, &magnitude, sizeof bits);
        bits |= sign;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

static const float *widened_panels(ae_arena *arena, const uint16_t *halves, size_t count)
{
    float *values = ae_take_floats(arena, count);
    if (values)
        for (size_t i = 0; i < count; i++)
            values[i] = widened(halves[i]);
    return values;
}

static const float *optional_column(ae_loader *loader, const char *name, const char *part, int32_t rows)
{
    char full[AE_NAME];
    ae_section section;
    if (!ae_find(loader->file, ae_joined(full, name, part), &section))
        return NULL;
    return ae_load_values(loader, full, AE_FLOAT32, rows, 1);
}

ae_dense ae_load_dense(ae_loader *loader, const char *name, int32_t outputs, int32_t inputs)
{
    ae_dense layer = {0};
    ae_section section;
    if (!ae_find(loader->file, name, &section) || section.kind < AE_PANELS_F32 ||
        (outputs != AE_ANY && section.rows != outputs) || (inputs != AE_ANY && section.columns != inputs) ||
        (section.kind == AE_PANELS_I8 && section.columns > AE_MOST_INT8_INPUTS - 2)) {
        loader->error = AETHER_ERROR_WEIGHTS;
        return layer;
    }
    layer.weights = section.data;
    layer.kind = section.kind;
    layer.outputs = section.rows;
    layer.inputs = section.columns;
    if (section.kind == AE_PANELS_F16 && !loader->kernels->halves) {
        layer.kind = AE_PANELS_F32;
        size_t count = ae_padded((size_t)section.rows) * (size_t)section.columns;
        layer.weights = widened_panels(loader->arena, section.data, count);
    }
    layer.scale = optional_column(loader, name, "scale", section.rows);
    layer.bias = optional_column(loader, name, "bias", section.rows);
    return layer;
}

const void *ae_load_values(ae_loader *loader, const char *name, ae_kind kind, int32_t rows, int32_t columns)
{
    ae_section section;
    if (!ae_find(loader->file, name, &section) || section.kind != kind || (rows != AE_ANY && section.rows != rows) ||
        (columns != AE_ANY && section.columns != columns)) {
        loader->error = AETHER_ERROR_WEIGHTS;
        return NULL;
    }
    return section.data;
}

const char *ae_joined(char name[AE_NAME], const char *first, const char *second)
{
    const char *parts[] = {first, ".", second};
    size_t length = 0;
    for (int i = 0; i < 3; i++)
        for (const char *letter = parts[i]; *letter && length < AE_NAME - 1; letter++)
            name[length++] = *letter;
    name[length] = 0;
    return name;
}
