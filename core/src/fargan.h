/* FARGAN (arXiv:2405.21069): a frame of 160 samples from three feature rows, four sub-frames of 40 samples. */
#ifndef AETHER_FARGAN_H
#define AETHER_FARGAN_H

#include "layers.h"

enum {
    FARGAN_SUBFRAME = 40,
    FARGAN_SUBFRAMES = AETHER_FRAME / FARGAN_SUBFRAME,
    FARGAN_MEMORY = 256, /* samples that the pitch prediction can reach */
    FARGAN_GUARD = 2,    /* samples on either side of the pitch prediction */
    FARGAN_GATHERED = FARGAN_SUBFRAME + 2 * FARGAN_GUARD,
    FARGAN_GRUS = 3,
    FARGAN_ROWS = 3,     /* that the conditioning of a frame sees */
    FARGAN_DELAY = AETHER_FRAME + AETHER_FRAME / 2,
};

typedef struct {
    ae_dense cond_in, cond_conv, cond_out;
    ae_dense gain, conv, conv_gate, pitch_gates;
    ae_dense of_input[FARGAN_GRUS], of_state[FARGAN_GRUS], gate[FARGAN_GRUS];
    ae_dense skip, skip_gate, out;
    const float *embedding; /* [classes, embedding_size], of the period */
    int32_t classes, embedding_size, hidden, channels, cond, tap, conv_size, units[FARGAN_GRUS], skip_size;
} ae_fargan;

/* What passes from one frame to the next: floats of a stream, in this order. */
typedef struct {
    float *rows;   /* [2, 20], the newest feature rows */
    float *memory; /* [256], the newest samples before de-emphasis */
    float *tap;    /* input of the convolution in the sub-frame before */
    float *h[FARGAN_GRUS];
    float *output; /* the last sample after de-emphasis */
} ae_fargan_state;

/* Room for one frame's work. */
typedef struct {
    float *features, *taps, *cond, *conv_input, *first, *second, *y, *operand, *o[FARGAN_GRUS], *signal;
} ae_fargan_work;

/* The network of a file; loader->error tells whether it is whole. */
void ae_fargan_load(ae_fargan *net, ae_loader *loader);

size_t ae_fargan_state_floats(const ae_fargan *net);
ae_fargan_state ae_fargan_state_in(const ae_fargan *net, float *floats);
ae_fargan_work ae_fargan_take_work(const ae_fargan *net, ae_arena *arena);

/* The state before the first frame: the network runs once on the first row, with silence for samples. */
void ae_fargan_prime(const ae_fargan *net, const ae_kernels *kernels, const ae_fargan_state *state,
                     const ae_fargan_work *work, const float *row);

/* 160 samples after de-emphasis of the row before `row`; silence, through which the network runs, if not audible. */
void ae_fargan_frame(const ae_fargan *net, const ae_kernels *kernels, const ae_fargan_state *state,
                     const ae_fargan_work *work, const float *row, int audible, float *samples);

#endif
