/* The inner loops, once for each kind of vector unit; a model chooses its set when it is made.
 *
 * Matrices [outputs, inputs] are stored in panels of 32 outputs (the last one of 8, 16, 24 or 32, filled up with
 * zeros); a panel holds, for each input, the weights of its outputs. Outputs lie in the lanes of vectors, so that every
 * sum runs in the order of the inputs whatever the width of the vectors, and products are rounded before they are
 * added: all sets give the same bits. */
#ifndef AETHER_KERNELS_H
#define AETHER_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { AE_OCTET = 8, AE_PANEL = 32, AE_CORRELATED = 12 };

/* Outputs with their filling. */
static inline size_t ae_padded(size_t outputs)
{
    return (outputs + AE_OCTET - 1) / AE_OCTET * AE_OCTET;
}

typedef struct {
    const char *name;
    int halves; /* whether dense_f16 exists; else float16 weights are widened when a model is made */

    /* y[r, 0 .. padded outputs) = W x[r, 0 .. inputs) for every row r; rows lie y_step and x_step apart. */
    void (*dense_f32)(float *y, size_t y_step, const void *w, const float *x, size_t x_step, int inputs, int outputs,
                      int rows);
    void (*dense_f16)(float *y, size_t y_step, const void *w, const float *x, size_t x_step, int inputs, int outputs,
                      int rows);
    /* y = scale * (W x), in integers: pairs of inputs, an odd one filled up with 0; |W x| stays below 2^31. */
    void (*dense_i8)(float *y, const int8_t *w, const int16_t *x, float scale, int inputs, int outputs);

    void (*affine)(float *y, const float *scale, const float *bias, int n); /* y * scale + bias; either may be NULL */
    void (*tanh)(float *x, int n);
    void (*sigmoid)(float *x, int n);
    void (*silu)(float *y, const float *x, int n); /* x * sigmoid(x) */
    void (*gate)(float *y, const float *x, const float *g, int n); /* x * sigmoid(g) */
    /* A GRU's state h, its products with the input and with h, each [reset | update | candidate], n of a kind. */
    void (*gru)(float *h, const float *of_input, const float *of_state, int n);
    void (*exp)(float *x, int n);                                  /* |x| limited to 80 */
    void (*cosine_f32)(float *x, int n);                           /* cos(2 pi x), |x| below 2^21 */
    void (*cosine_f64)(double *x, int n);                          /* the same, below 2^50 */
    /* Fourier transform of `length` complex values in place: sum over n of x[n] e^(-2 pi i k n / length). cosine, sine:
     * of 2 pi k / count, count a multiple of length. */
    void (*fft_f32)(const float *cosine, const float *sine, int count, int length, float *re, float *im,
                    float *spare_re, float *spare_im);
    void (*fft_f64)(const double *cosine, const double *sine, int count, int length, double *re, double *im,
                    double *spare_re, double *spare_im);
    /* y[j] = sum over k < taps of x[k] s[j + k], j < n; n is a multiple of 48. */
    void (*correlate)(double *y, const double *x, const double *s, int taps, int n);
} ae_kernels;

/* The set of a name, or the fastest of this machine for NULL; NULL where there is none. */
const ae_kernels *ae_kernels_find(const char *name);

const ae_kernels *ae_kernels_scalar(void);
const ae_kernels *ae_kernels_sse2(void);
const ae_kernels *ae_kernels_avx2(void);
const ae_kernels *ae_kernels_neon(void);
const ae_kernels *ae_kernels_wasm(void);

#endif
