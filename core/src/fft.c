#include "fft.h"

#include "maths.h"

typedef struct {
    double *re, *im;
} parts;

void ae_fft_make(ae_fft *fft, int size)
{
    fft->size = size;
    for (int k = 0; k < size; k++)
        ae_turn(k, size, &fft->cosine[k], &fft->sine[k]);
}

/* Store a value times e^(-2 pi i turn / size). */
static inline void store(const ae_fft *fft, parts y, int place, double re, double im, int turn)
{
    double c = fft->cosine[turn], s = fft->sine[turn];
    y.re[place] = re * c + im * s;
    y.im[place] = im * c - re * s;
}

static void pass_four(const ae_fft *fft, parts x, parts y, int m, int stride, int step)
{
    int quarter = m * stride;
    for (int p = 0; p < m; p++) {
        for (int q = 0; q < stride; q++) {
            int in = q + stride * p, out = q + 4 * stride * p;
            double ar = x.re[in], ai = x.im[in], br = x.re[in + quarter], bi = x.im[in + quarter];
            double cr = x.re[in + 2 * quarter], ci = x.im[in + 2 * quarter];
            double dr = x.re[in + 3 * quarter], di = x.im[in + 3 * quarter];
            double er = ar + cr, ei = ai + ci, fr = ar - cr, fi = ai - ci;
            double gr = br + dr, gi = bi + di, hr = br - dr, hi = bi - di;
            y.re[out] = er + gr;
            y.im[out] = ei + gi;
            store(fft, y, out + stride, fr + hi, fi - hr, step * p);
            store(fft, y, out + 2 * stride, er - gr, ei - gi, 2 * step * p);
            store(fft, y, out + 3 * stride, fr - hi, fi + hr, 3 * step * p);
        }
    }
}

static void pass_any(const ae_fft *fft, parts x, parts y, int m, int stride, int step, int radix)
{
    for (int p = 0; p < m; p++) {
        for (int q = 0; q < stride; q++) {
            for (int k = 0; k < radix; k++) {
                double re = 0.0, im = 0.0;
                for (int i = 0; i < radix; i++) {
                    int in = q + stride * (p + i * m), turn = i * k % radix * (fft->size / radix);
                    double c = fft->cosine[turn], s = fft->sine[turn];
                    re += x.re[in] * c + x.im[in] * s;
                    im += x.im[in] * c - x.re[in] * s;
                }
                store(fft, y, q + stride * (radix * p + k), re, im, step * p * k);
            }
        }
    }
}

void ae_fft_real(const ae_fft *fft, const double *x, double *real, double *imaginary)
{
    double room[4][AE_FFT_MOST / 2];
    parts now = {room[0], room[1]}, next = {room[2], room[3]};
    int half = fft->size / 2;
    for (int n = 0; n < half; n++) {
        now.re[n] = x[2 * n];
        now.im[n] = x[2 * n + 1];
    }
    for (int length = half, stride = 1; length > 1;) {
        int radix = length % 4 == 0 ? 4 : length % 2 == 0 ? 2 : length % 3 == 0 ? 3 : 5;
        int m = length / radix, step = fft->size / length;
        if (radix == 4)
            pass_four(fft, now, next, m, stride, step);
        else
            pass_any(fft, now, next, m, stride, step, radix);
        parts other = now;
        now = next;
        next = other;
        length = m;
        stride *= radix;
    }
    for (int k = 0; k < half; k++) {
        int mirror = k ? half - k : 0;
        double er = 0.5 * (now.re[k] + now.re[mirror]), ei = 0.5 * (now.im[k] - now.im[mirror]);
        double or = 0.5 * (now.im[k] + now.im[mirror]), oi = 0.5 * (now.re[mirror] - now.re[k]);
        real[k] = er + or * fft->cosine[k] + oi * fft->sine[k];
        imaginary[k] = ei + oi * fft->cosine[k] - or * fft->sine[k];
    }
}
