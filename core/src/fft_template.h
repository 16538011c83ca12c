/* A Fourier transform of complex values REAL (Stockham), with names that end in SUFFIX; included in sets of kernels. */

#define FFT_JOINED(a, b) a##b
#define FFT_NAMED(a, b) FFT_JOINED(a, b)
#define PARTS FFT_NAMED(parts_, SUFFIX)
#define TURNS FFT_NAMED(turns_, SUFFIX)
#define STORE FFT_NAMED(store_, SUFFIX)
#define PASS_FOUR FFT_NAMED(pass_four_, SUFFIX)
#define PASS_ANY FFT_NAMED(pass_any_, SUFFIX)

typedef struct {
    REAL *re, *im;
} PARTS;

typedef struct {
    const REAL *cosine, *sine; /* of 2 pi k / count */
    int count;
} TURNS;

/* Store a value times e^(-2 pi i turn / count). */
AE_INLINE void STORE(TURNS turns, PARTS y, int place, REAL re, REAL im, int turn)
{
    REAL c = turns.cosine[turn], s = turns.sine[turn];
    y.re[place] = re * c + im * s;
    y.im[place] = im * c - re * s;
}

AE_INLINE void PASS_FOUR(TURNS turns, PARTS given, PARTS made, int m, int stride, int step)
{
    const REAL *restrict xr = given.re, *restrict xi = given.im;
    PARTS y = made;
    int quarter = m * stride;
    for (int p = 0; p < m; p++) {
        REAL *restrict yr = y.re + 4 * stride * p, *restrict yi = y.im + 4 * stride * p;
        PARTS out = {yr, yi};
        for (int q = 0; q < stride; q++) {
            int in = q + stride * p;
            REAL ar = xr[in], ai = xi[in], br = xr[in + quarter], bi = xi[in + quarter];
            REAL cr = xr[in + 2 * quarter], ci = xi[in + 2 * quarter];
            REAL dr = xr[in + 3 * quarter], di = xi[in + 3 * quarter];
            REAL er = ar + cr, ei = ai + ci, fr = ar - cr, fi = ai - ci;
            REAL gr = br + dr, gi = bi + di, hr = br - dr, hi = bi - di;
            yr[q] = er + gr;
            yi[q] = ei + gi;
            STORE(turns, out, q + stride, fr + hi, fi - hr, step * p);
            STORE(turns, out, q + 2 * stride, er - gr, ei - gi, 2 * step * p);
            STORE(turns, out, q + 3 * stride, fr - hi, fi + hr, 3 * step * p);
        }
    }
}

AE_INLINE void PASS_ANY(TURNS turns, PARTS given, PARTS made, int m, int stride, int step, const int radix)
{
    const REAL *restrict xr = given.re, *restrict xi = given.im;
    int part = turns.count / radix;
    for (int p = 0; p < m; p++) {
        for (int k = 0; k < radix; k++) {
            int to = stride * (radix * p + k);
            REAL *restrict yr = made.re + to, *restrict yi = made.im + to;
            PARTS out = {yr, yi};
            for (int q = 0; q < stride; q++) {
                REAL re = 0, im = 0;
                for (int i = 0; i < radix; i++) {
                    int in = q + stride * (p + i * m), turn = i * k % radix * part;
                    REAL c = turns.cosine[turn], s = turns.sine[turn];
                    re += xr[in] * c + xi[in] * s;
                    im += xi[in] * c - xr[in] * s;
                }
                STORE(turns, out, q, re, im, step * p * k);
            }
        }
    }
}

static void FFT_NAMED(fft_, SUFFIX)(const REAL *cosine, const REAL *sine, int count, int length, REAL *re, REAL *im,
                                    REAL *spare_re, REAL *spare_im)
{
    TURNS turns = {cosine, sine, count};
    PARTS now = {re, im}, next = {spare_re, spare_im};
    for (int left = length, stride = 1; left > 1;) {
        int radix = left % 4 == 0 ? 4 : left % 2 == 0 ? 2 : left % 3 == 0 ? 3 : 5;
        int m = left / radix, step = count / left;
        switch (radix) { /* constants, so that divisions by them are none */
        case 2: PASS_ANY(turns, now, next, m, stride, step, 2); break;
        case 3: PASS_ANY(turns, now, next, m, stride, step, 3); break;
        case 4: PASS_FOUR(turns, now, next, m, stride, step); break;
        default: PASS_ANY(turns, now, next, m, stride, step, 5); break;
        }
        PARTS other = now;
        now = next;
        next = other;
        left = m;
        stride *= radix;
    }
    if (now.re != re) {
        memcpy(re, now.re, (size_t)length * sizeof *re);
        memcpy(im, now.im, (size_t)length * sizeof *im);
    }
}

#undef FFT_JOINED
#undef FFT_NAMED
#undef PARTS
#undef TURNS
#undef STORE
#undef PASS_FOUR
#undef PASS_ANY
