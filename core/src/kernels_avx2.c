/* AVX2 and F16C: eight lanes, float16 weights widened as they are loaded. Chosen where machine and system have them. */

#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,f16c")
#endif

#include <immintrin.h>
#include <string.h>

static inline __m256i pair_sum(__m256i sum, const int8_t *w, const int16_t *x)
{
    int32_t both;
    memcpy(&both, x, sizeof both);
    __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(wide, _mm256_set1_epi32(both)));
}

#define LANES 8
#define HALVES 1
#define SET_NAME "avx2"
#define VEC __m256
#define V_ZERO() _mm256_setzero_ps()
#define V_LOAD(place) _mm256_loadu_ps(place)
#define V_LOAD_HALF(place) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(place)))
#define V_STORE(place, value) _mm256_storeu_ps(place, value)
#define V_SET1(value) _mm256_set1_ps(value)
#define V_MUL(a, b) _mm256_mul_ps(a, b)
#define V_ADD(a, b) _mm256_add_ps(a, b)
#define DLANES 4
#define DVEC __m256d
#define D_ZERO() _mm256_setzero_pd()
#define D_LOAD(place) _mm256_loadu_pd(place)
#define D_STORE(place, value) _mm256_storeu_pd(place, value)
#define D_SET1(value) _mm256_set1_pd(value)
#define D_MUL(a, b) _mm256_mul_pd(a, b)
#define D_ADD(a, b) _mm256_add_pd(a, b)
#define IVEC __m256i
#define I_ZERO() _mm256_setzero_si256()
#define I_PAIR(sum, w, x) pair_sum(sum, w, x)
#define I_STORE(place, value) _mm256_storeu_si256((__m256i *)(void *)(place), value)

#include "kernels_template.h"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#if defined(_MSC_VER)
#include <intrin.h>
static void identify(int leaf, unsigned out[4])
{
    int values[4];
    __cpuidex(values, leaf, 0);
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned)values[i];
}
static uint64_t enabled_states(void)
{
    return _xgetbv(0);
}
#else
#include <cpuid.h>
static void identify(int leaf, unsigned out[4])
{
    if (!__get_cpuid_count((unsigned)leaf, 0, &out[0], &out[1], &out[2], &out[3]))
        memset(out, 0, 4 * sizeof *out);
}
static uint64_t enabled_states(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}
#endif

const ae_kernels *ae_kernels_avx2(void)
{
    const unsigned osxsave = 1u << 27, f16c = 1u << 29, avx2 = 1u << 5;
    unsigned basic[4], extended[4];
    identify(1, basic);
    identify(7, extended);
    if ((basic[2] & (osxsave | f16c)) != (osxsave | f16c) || !(extended[1] & avx2))
        return NULL;
    return (enabled_states() & 6) == 6 ? &SET : NULL;
}

#else

const ae_kernels *ae_kernels_avx2(void)
{
    return NULL;
}

#endif
