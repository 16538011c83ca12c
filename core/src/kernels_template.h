/* All kernels of one set, from the vector operations that the including file defines:
 * LANES, VEC, V_ZERO, V_LOAD, V_STORE, V_SET1, V_MUL, V_ADD on floats (LANES divides 8), the same with DLANES, DVEC and D_
 * on doubles (DLANES divides 4), V_LOAD_HALF from float16 where
 * HALVES is 1, and IVEC, I_ZERO, I_PAIR (sum, int8 weights of LANES outputs by two inputs, the two inputs), I_STORE. */

#include "kernels.h"
#include "maths.h"

enum { PER_OCTET = AE_OCTET / LANES, MOST = AE_PANEL / LANES };

enum { TILE = 4 }; /* rows at once at most, of two octets each then, so that sums stay in registers */

/* `octets` times 8 outputs of a panel of `all` octets, for `rows` rows at once; these are constants where it is called. */
#define DEFINE_PANEL(NAME, WEIGHT, LOAD)                                                                              \
    AE_INLINE void NAME(float *y, size_t y_step, const WEIGHT *w, const float *x, size_t x_step, int inputs, int all, \
                        const int octets, const int rows)                                                             \
    {                                                                                                                 \
        VEC sums[TILE][MOST];                                                                                         \
        for (int r = 0; r < rows; r++)                                                                                \
            for (int v = 0; v < octets * PER_OCTET; v++)                                                              \
                sums[r][v] = V_ZERO();                                                                                \
        for (int i = 0; i < inputs; i++) {                                                                            \
            VEC given[TILE];                                                                                          \
            for (int r = 0; r < rows; r++)                                                                            \
                given[r] = V_SET1(x[(size_t)r * x_step + (size_t)i]);                                                 \
            for (int v = 0; v < octets * PER_OCTET; v++) {                                                            \
                VEC weights = LOAD(w + v * LANES);                                                                    \
                for (int r = 0; r < rows; r++)                                                                        \
                    sums[r][v] = V_ADD(sums[r][v], V_MUL(weights, given[r]));                                         \
            }                                                                                                         \
            w += all * AE_OCTET;                                                                                      \
        }                                                                                                             \
        for (int r = 0; r < rows; r++)                                                                                \
            for (int v = 0; v < octets * PER_OCTET; v++)                                                              \
                V_STORE(y + (size_t)r * y_step + v * LANES, sums[r][v]);                                              \
    }

#define DEFINE_DENSE(NAME, PANEL, WEIGHT)                                                                             \
    static void NAME(float *y, size_t y_step, const void *weights, const float *x, size_t x_step, int inputs,         \
                     int outputs, int rows)                                                                           \
    {                                                                                                                 \
        int padded = (int)ae_padded((size_t)outputs), together;                                                       \
        for (; rows > 0; rows -= together, y += (size_t)together * y_step, x += (size_t)together * x_step) {          \
            const WEIGHT *w = weights;                                                                                \
            together = rows >= TILE ? TILE : rows >= 2 ? 2 : 1;                                                       \
            for (int first = 0; first < padded; first += AE_PANEL) {                                                  \
                int all = padded - first >= AE_PANEL ? 4 : (padded - first) / AE_OCTET;                               \
                float *part = y + first;                                                                              \
                for (int done = 0, octets; done < all; done += octets, part += octets * AE_OCTET) {                   \
                    const WEIGHT *from = w + done * AE_OCTET;                                                         \
                    octets = together == TILE && all - done > 2 ? 2 : all - done;                                     \
                    switch (8 * together + octets) {                                                                  \
                    case 9: PANEL(part, y_step, from, x, x_step, inputs, all, 1, 1); break;                           \
                    case 10: PANEL(part, y_step, from, x, x_step, inputs, all, 2, 1); break;                          \
                    case 11: PANEL(part, y_step, from, x, x_step, inputs, all, 3, 1); break;                          \
                    case 12: PANEL(part, y_step, from, x, x_step, inputs, 4, 4, 1); break;                            \
                    case 17: PANEL(part, y_step, from, x, x_step, inputs, all, 1, 2); break;                          \
                    case 18: PANEL(part, y_step, from, x, x_step, inputs, all, 2, 2); break;                          \
                    case 19: PANEL(part, y_step, from, x, x_step, inputs, all, 3, 2); break;                          \
                    case 20: PANEL(part, y_step, from, x, x_step, inputs, 4, 4, 2); break;                            \
                    case 33: PANEL(part, y_step, from, x, x_step, inputs, all, 1, TILE); break;                       \
                    default: PANEL(part, y_step, from, x, x_step, inputs, all, 2, TILE); break;                       \
                    }                                                                                                 \
                }                                                                                                     \
                w += (size_t)inputs * (size_t)(all * AE_OCTET);                                                       \
            }                                                                                                         \
        }                                                                                                             \
    }

DEFINE_PANEL(panel_f32, float, V_LOAD)
DEFINE_DENSE(dense_f32, panel_f32, float)
#if HALVES
DEFINE_PANEL(panel_f16, uint16_t, V_LOAD_HALF)
DEFINE_DENSE(dense_f16, panel_f16, uint16_t)
#endif

AE_INLINE void panel_i8(float *y, const int8_t *w, const int16_t *x, float scale, int pairs, const int octets)
{
    IVEC sums[MOST];
    for (int v = 0; v < octets * PER_OCTET; v++)
        sums[v] = I_ZERO();
    for (int i = 0; i < pairs; i++, x += 2, w += 2 * octets * AE_OCTET)
        for (int v = 0; v < octets * PER_OCTET; v++)
            sums[v] = I_PAIR(sums[v], w + 2 * v * LANES, x);
    for (int v = 0; v < octets * PER_OCTET; v++) {
        int32_t whole[LANES];
        I_STORE(whole, sums[v]);
        for (int i = 0; i < LANES; i++)
            y[v * LANES + i] = (float)whole[i] * scale;
    }
}

static void dense_i8(float *y, const int8_t *w, const int16_t *x, float scale, int inputs, int outputs)
{
    int padded = (int)ae_padded((size_t)outputs), pairs = (inputs + 1) / 2;
    for (int first = 0; first < padded; first += AE_PANEL) {
        int octets = padded - first >= AE_PANEL ? 4 : (padded - first) / AE_OCTET;
        switch (octets) {
        case 1: panel_i8(y + first, w, x, scale, pairs, 1); break;
        case 2: panel_i8(y + first, w, x, scale, pairs, 2); break;
        case 3: panel_i8(y + first, w, x, scale, pairs, 3); break;
        default: panel_i8(y + first, w, x, scale, pairs, 4); break;
        }
        w += 2 * (size_t)pairs * (size_t)(octets * AE_OCTET);
    }
}

static void affine(float *restrict y, const float *restrict scale, const float *restrict bias, int n)
{
    if (scale)
        for (int i = 0; i < n; i++)
            y[i] = y[i] * scale[i];
    if (bias)
        for (int i = 0; i < n; i++)
            y[i] = y[i] + bias[i];
}

static void tanh_all(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = ae_tanh(x[i]);
}

static void sigmoid_all(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = ae_sigmoid(x[i]);
}

static void silu(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = x[i] * ae_sigmoid(x[i]);
}

static void gate(float *y, const float *x, const float *g, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = x[i] * ae_sigmoid(g[i]);
}

static void gru(float *restrict h, const float *restrict of_input, const float *restrict of_state, int n)
{
    for (int i = 0; i < n; i++) {
        float reset = ae_sigmoid(of_input[i] + of_state[i]);
        float update = ae_sigmoid(of_input[n + i] + of_state[n + i]);
        float candidate = ae_tanh(of_input[2 * n + i] + reset * of_state[2 * n + i]);
        h[i] = ae_flushed(candidate + update * (h[i] - candidate));
    }
}

static void correlate(double *restrict y, const double *restrict x, const double *restrict s, int taps, int n)
{
    for (int first = 0; first < n; first += AE_CORRELATED * DLANES) {
        DVEC sums[AE_CORRELATED];
        for (int j = 0; j < AE_CORRELATED; j++)
            sums[j] = D_ZERO();
        for (int k = 0; k < taps; k++) {
            DVEC given = D_SET1(x[k]);
            for (int j = 0; j < AE_CORRELATED; j++)
                sums[j] = D_ADD(sums[j], D_MUL(given, D_LOAD(s + first + k + j * DLANES)));
        }
        for (int j = 0; j < AE_CORRELATED; j++)
            D_STORE(y + first + j * DLANES, sums[j]);
    }
}

static void exp_all(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = ae_exp(x[i]);
}

static void cosine_f32(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = ae_cosine(x[i]);
}

static void cosine_f64(double *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = ae_cosine_double(x[i]);
}

#define REAL float
#define SUFFIX f32
#include "fft_template.h"
#undef REAL
#undef SUFFIX
#define REAL double
#define SUFFIX f64
#include "fft_template.h"
#undef REAL
#undef SUFFIX

static const ae_kernels SET = {
    SET_NAME, HALVES, dense_f32,
#if HALVES
    dense_f16,
#else
    NULL,
#endif
    dense_i8, affine, tanh_all, sigmoid_all, silu, gate, gru, exp_all, cosine_f32, cosine_f64, fft_f32, fft_f64, correlate,
};
