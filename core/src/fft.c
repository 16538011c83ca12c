#include "fft.h"

#include "maths.h"

void ae_fft_make(ae_fft *fft, int size)
{
    fft->size = size;
    for (int k = 0; k < size; k++)
        ae_turn(k, size, &fft->cosine[k], &fft->sine[k]);
}

void ae_fft_real(const ae_fft *fft, const ae_kernels *kernels, const double *x, double *real, double *imaginary)
{
    double room[4][AE_FFT_MOST / 2];
    int half = fft->size / 2;
    for (int n = 0; n < half; n++) {
        room[0][n] = x[2 * n];
        room[1][n] = x[2 * n + 1];
    }
    kernels->fft_f64(fft->cosine, fft->sine, fft->size, half, room[0], room[1], room[2], room[3]);
    const double *re = room[0], *im = room[1];
    for (int k = 0; k < half; k++) {
        int mirror = k ? half - k : 0;
        double er = 0.5 * (re[k] + re[mirror]), ei = 0.5 * (im[k] - im[mirror]);
        double or = 0.5 * (im[k] + im[mirror]), oi = 0.5 * (re[mirror] - re[k]);
        real[k] = er + or * fft->cosine[k] + oi * fft->sine[k];
        imaginary[k] = ei + oi * fft->cosine[k] - or * fft->sine[k];
    }
}
