/* Layers of networks, and how they are taken from a file. */
#ifndef AETHER_LAYERS_H
#define AETHER_LAYERS_H

#include "arena.h"
#include "kernels.h"
#include "weights.h"

enum { AE_MOST_INT8_INPUTS = 2048 }; /* keeps integer sums of 8 by 14 bits below 2^31 */

/* y = scale * (W x) + bias; scale and bias [outputs] may be missing. */
typedef struct {
    const void *weights; /* NULL: no such layer */
    const float *scale, *bias;
    int32_t inputs, outputs;
    ae_kind kind;
} ae_dense;

/* Apply a layer to rows; y needs room for padded outputs in every row, beyond which nothing is written. */
void ae_apply(const ae_kernels *kernels, const ae_dense *layer, float *y, size_t y_step, const float *x, size_t x_step,
              int rows);

/* The same for one row. */
static inline void ae_apply_row(const ae_kernels *kernels, const ae_dense *layer, float *y, const float *x)
{
    ae_apply(kernels, layer, y, 0, x, 0, 1);
}

/* What takes a network from a file. The first fault is kept in `error`, and everything after it is of no use. */
typedef struct {
    const ae_file *file;
    const ae_kernels *kernels;
    ae_arena *arena;
    int error;
} ae_loader;

enum { AE_ANY = -1 };

/* The layer of a name, of these sizes; AE_ANY for any. */
ae_dense ae_load_dense(ae_loader *loader, const char *name, int32_t outputs, int32_t inputs);

/* Values [rows, columns] of a section of this kind. */
const void *ae_load_values(ae_loader *loader, const char *name, ae_kind kind, int32_t rows, int32_t columns);

/* "first.second" in `name`, cut where it is longer than names are. */
const char *ae_joined(char name[AE_NAME], const char *first, const char *second);

#endif
