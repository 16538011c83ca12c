/* The harmonic-plus-noise vocoder hnsf: what it computes is said where Python computes it, aether_lite.vocoder.hnsf. */
#ifndef AETHER_HNSF_H
#define AETHER_HNSF_H

#include "front_end.h"
#include "layers.h"

enum {
    HNSF_LAYERS = 6,
    HNSF_TAPS = 3,   /* of each convolution */
    HNSF_POINTS = 64, /* of a filter, on the mel scale */
    HNSF_HOP = AETHER_FRAME / 2,
    HNSF_SEGMENT = 4 * HNSF_HOP,
    HNSF_FFT = 512,
    HNSF_BINS = HNSF_FFT / 2 + 1,
    HNSF_RESPONSE = 384, /* samples of a filtered segment that are kept */
    HNSF_REACH = 5 * HNSF_HOP, /* whole hops that it covers */
    HNSF_MEMORY = HNSF_SEGMENT - HNSF_HOP,
    HNSF_DELAY = AETHER_FRAME + HNSF_HOP + HNSF_RESPONSE / 2,
    HNSF_INPUTS = AETHER_FEATURES + 3,
    HNSF_HALF = 3 * HNSF_POINTS + 1, /* outputs of the network for half a row */
    HNSF_BLOCK = 8, /* rows at a time at most */
};

/* Linear interpolation at a place: below + share * (next - below). */
typedef struct {
    int32_t below[HNSF_BINS];
    float share[HNSF_BINS];
} ae_between;

/* Constants; made once for a model. */
typedef struct {
    float cosine[HNSF_FFT], sine[HNSF_FFT]; /* of 2 pi k / 512 */
    float window[HNSF_SEGMENT], taper[HNSF_RESPONSE];
    float dct[FRONT_BANDS][FRONT_BANDS], offset[FRONT_BANDS], level[FRONT_BANDS];
    ae_between points; /* of the mel scale, at every bin */
    ae_between bands;  /* at every point */
} ae_hnsf_tables;

typedef struct {
    ae_dense first, layer[HNSF_LAYERS], head;
    int32_t channels;
    ae_hnsf_tables *tables;
} ae_hnsf;

/* What passes from one row to the next: floats of a stream in this order, then a double and a whole number. */
typedef struct {
    float *rows;       /* [2, 20], the newest rows */
    float *hidden;     /* inputs of the convolutions, layer by layer, oldest row first */
    float *excitation; /* [3, 240]: pulses, noise, modulated noise */
    float *overlap;    /* [320], what the segments so far add to the samples to come */
    float *output;     /* the last sample after de-emphasis */
    double *phase;     /* of the pitch [cycles, 0..1] */
    int32_t *place;    /* number of the next sample of noise, modulo 2^32 */
} ae_hnsf_state;

/* Room for the work of a block of rows. */
typedef struct {
    float *rows, *inputs, *x, *joined, *patches, *wide, *values;
    float *source[3];                     /* [240 + 160 n] */
    float *stated, *filter[4];            /* of a segment: magnitude of harmonics and noise, cosine and sine */
    float *re[2], *im[2], *spare[2], *made; /* spectra of two segments */
    double *track[5];                     /* [160]: numbers of a row's excitation */
} ae_hnsf_work;

/* The network of a file; loader->error tells whether it is whole. Its tables stay empty. */
void ae_hnsf_load(ae_hnsf *net, ae_loader *loader);
void ae_hnsf_tables_make(const ae_hnsf *net, const ae_front_tables *front);

size_t ae_hnsf_state_floats(const ae_hnsf *net);
ae_hnsf_state ae_hnsf_state_in(const ae_hnsf *net, float *floats, double *phase, int32_t *place);
ae_hnsf_work ae_hnsf_take_work(const ae_hnsf *net, ae_arena *arena);

/* The state before the first frame, as if the row had always been there; it is zero before. */
void ae_hnsf_prime(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work,
                   const float *row);

/* 160 samples, after de-emphasis, for each of 1 to 8 new rows [count, 20]. */
void ae_hnsf_render(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work,
                    const float *rows, int count, float *samples);

/* Pulses, noise and modulated noise of the frame between two rows' pitches, 160 of each; hnsf_source.c. */
void ae_hnsf_excite(const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work, float before,
                    float after, float *pulses, float *noise, float *modulated);

/* Two segments, filtered by the network's outputs [2, 193] for a row and the one before, are added to the overlap, and
 * the 160 samples that are then whole are taken from it; hnsf_source.c. */
void ae_hnsf_filter(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work,
                    const float *const source[3], const float *before, const float *row, const float *values,
                    float *samples);

#endif
