/* Elementary functions in plain arithmetic, which give the same bits on every machine; no libm but sqrt.
 *
 * float functions are for loops that compilers turn into vector code; double ones are for the features. None of their
 * results is subnormal for the arguments that the library passes on, so speed does not depend on silence. */
#ifndef AETHER_MATHS_H
#define AETHER_MATHS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#if defined(_MSC_VER)
#define AE_INLINE static __forceinline
#else
#define AE_INLINE static inline __attribute__((always_inline))
#endif

#define AE_ROUNDING 12582912.0f /* 1.5 * 2^23: added to a small float, leaves its nearest integer in the lowest bits */
#define AE_LOG2_E 1.44269504f
#define AE_LN_2_HIGH 0.693359375f /* 9 bits: its product with an exponent is exact */
#define AE_LN_2_LOW -2.12194440e-4f
#define AE_LARGEST 80.0f /* |x| of exp, far from overflow */
#define AE_STEEP 32.0f /* |x| beyond which a sigmoid is 0 or 1 within 1.3e-14 */
#define AE_TINY 1e-30f /* smaller values of a state are 0 */

AE_INLINE float ae_limit(float x, float bound)
{
    x = x > bound ? bound : x;
    return x < -bound ? -bound : x;
}

/* e^x with a relative error below 2e-7; x is limited to +-80. */
AE_INLINE float ae_exp(float x)
{
    x = ae_limit(x, AE_LARGEST);
    float shifted = x * AE_LOG2_E + AE_ROUNDING;
    float n = shifted - AE_ROUNDING;
    float r = (x - n * AE_LN_2_HIGH) - n * AE_LN_2_LOW;
    float series = 1.0f / 720.0f + r * (1.0f / 5040.0f);
    series = 1.0f / 120.0f + r * series;
    series = 1.0f / 24.0f + r * series;
    series = 1.0f / 6.0f + r * series;
    series = 0.5f + r * series;
    series = 1.0f + r * series;
    series = 1.0f + r * series;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + (127u << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return series * power;
}

/* Absolute error below 2e-7. */
AE_INLINE float ae_sigmoid(float x)
{
    return 1.0f / (1.0f + ae_exp(-ae_limit(x, AE_STEEP)));
}

/* Absolute error below 2e-7. */
AE_INLINE float ae_tanh(float x)
{
    return 1.0f - 2.0f / (1.0f + ae_exp(2.0f * ae_limit(x, AE_STEEP)));
}

/* cos(2 pi x), |x| below 2^21; absolute error below 2e-7 beside that of x. */
AE_INLINE float ae_cosine(float x)
{
    float whole = (x + AE_ROUNDING) - AE_ROUNDING;
    float angle = 6.28318531f * (0.25f - fabsf(x - whole)), square = angle * angle; /* cos x = sin(pi / 2 - |x|) */
    float series = -1.0f / 39916800.0f;
    series = 1.0f / 362880.0f + square * series;
    series = -1.0f / 5040.0f + square * series;
    series = 1.0f / 120.0f + square * series;
    series = -1.0f / 6.0f + square * series;
    return angle + angle * (square * series);
}

/* cos(2 pi x), |x| below 2^50; absolute error below 1e-15 beside that of x. */
AE_INLINE double ae_cosine_double(double x)
{
    double whole = (x + 6755399441055744.0) - 6755399441055744.0; /* 1.5 * 2^52 */
    double angle = 6.283185307179586 * (0.25 - fabs(x - whole)), square = angle * angle;
    double series = 1.0 / 51090942171709440000.0;
    series = -1.0 / 121645100408832000.0 + square * series;
    series = 1.0 / 355687428096000.0 + square * series;
    series = -1.0 / 1307674368000.0 + square * series;
    series = 1.0 / 6227020800.0 + square * series;
    series = -1.0 / 39916800.0 + square * series;
    series = 1.0 / 362880.0 + square * series;
    series = -1.0 / 5040.0 + square * series;
    series = 1.0 / 120.0 + square * series;
    series = -1.0 / 6.0 + square * series;
    return angle + angle * (square * series);
}

AE_INLINE float ae_flushed(float x)
{
    return fabsf(x) < AE_TINY ? 0.0f : x;
}

AE_INLINE double ae_flushed_double(double x)
{
    return fabs(x) < (double)AE_TINY ? 0.0 : x;
}

/* Natural logarithm of a normal x > 0; relative error about 1e-15. */
static inline double ae_log_double(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent += 1;
    }
    double s = (m - 1.0) / (m + 1.0), square = s * s, sum = 0.0;
    for (int k = 23; k >= 3; k -= 2)
        sum = (sum + 1.0 / k) * square;
    return exponent * 0.6931471805599453 + 2.0 * (s + s * sum);
}

/* e^x; relative error about 1e-15; x is limited to +-700. */
static inline double ae_exp_double(double x)
{
    x = x > 700.0 ? 700.0 : x;
    x = x < -700.0 ? -700.0 : x;
    double shifted = x * 1.4426950408889634 + 6755399441055744.0; /* 1.5 * 2^52 */
    double n = shifted - 6755399441055744.0;
    double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    double sum = 1.0;
    for (int k = 14; k >= 1; k--)
        sum = 1.0 + sum * r * (1.0 / k);
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 52) + (1023ull << 52);
    double power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

static inline double ae_exp2_double(double x)
{
    return ae_exp_double(x * 0.6931471805599453);
}

static inline double ae_log10_double(double x)
{
    return ae_log_double(x) * 0.4342944819032518;
}

/* cos and sin of 2 pi k / n, n > 0: exact symmetries, then a series on an eighth of the circle. */
static inline void ae_turn(int64_t k, int64_t n, double *cosine, double *sine)
{
    k %= n;
    if (k < 0)
        k += n;
    int64_t quarter = 4 * k / n;
    int64_t rest = 4 * k - quarter * n; /* of a quarter: rest / n */
    int swap = 2 * rest > n;
    double angle = 1.5707963267948966 * (double)(swap ? n - rest : rest) / (double)n;
    double square = angle * angle, c = 1.0, s = 1.0;
    for (int j = 10; j >= 1; j--) {
        c = 1.0 - c * square / ((2 * j - 1) * (2 * j));
        s = 1.0 - s * square / ((2 * j) * (2 * j + 1));
    }
    s *= angle;
    if (swap) {
        double other = c;
        c = s;
        s = other;
    }
    switch (quarter) {
    case 0: *cosine = c, *sine = s; break;
    case 1: *cosine = -s, *sine = c; break;
    case 2: *cosine = -c, *sine = -s; break;
    default: *cosine = s, *sine = -c; break;
    }
}

#endif
