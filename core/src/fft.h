/* Fourier transforms whose length is a product of 2, 3 and 5; the same bits on every machine. Sets of kernels have the
 * transforms of complex values, see fft_template.h. */
#ifndef AETHER_FFT_H
#define AETHER_FFT_H

#include "kernels.h"

enum { AE_FFT_MOST = 320 }; /* samples of ae_fft */

/* Of real samples, in double. */
typedef struct {
    int size; /* samples, even */
    double cosine[AE_FFT_MOST], sine[AE_FFT_MOST]; /* of 2 pi k / size */
} ae_fft;

/* A transform of `size` samples. */
void ae_fft_make(ae_fft *fft, int size);

/* Bins 0 .. size / 2 - 1 of x [size]: sum over n of x[n] e^(-2 pi i k n / size). */
void ae_fft_real(const ae_fft *fft, const ae_kernels *kernels, const double *x, double *real, double *imaginary);

#endif
