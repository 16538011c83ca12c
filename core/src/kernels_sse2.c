/* SSE2, the least that an x86-64 has: four lanes. */

#include "kernels.h"

#if defined(__SSE2__) || defined(_M_X64)

#include <emmintrin.h>
#include <string.h>

static inline __m128i pair_sum(__m128i sum, const int8_t *w, const int16_t *x)
{
    int32_t both;
    memcpy(&both, x, sizeof both);
    __m128i narrow = _mm_loadl_epi64((const __m128i *)(const void *)w);
    __m128i wide = _mm_srai_epi16(_mm_unpacklo_epi8(narrow, narrow), 8);
    return _mm_add_epi32(sum, _mm_madd_epi16(wide, _mm_set1_epi32(both)));
}

#define LANES 4
#define HALVES 0
#define SET_NAME "sse2"
#define VEC __m128
#define V_ZERO() _mm_setzero_ps()
#define V_LOAD(place) _mm_loadu_ps(place)
#define V_STORE(place, value) _mm_storeu_ps(place, value)
#define V_SET1(value) _mm_set1_ps(value)
#define V_MUL(a, b) _mm_mul_ps(a, b)
#define V_ADD(a, b) _mm_add_ps(a, b)
#define DLANES 2
#define DVEC __m128d
#define D_ZERO() _mm_setzero_pd()
#define D_LOAD(place) _mm_loadu_pd(place)
#define D_STORE(place, value) _mm_storeu_pd(place, value)
#define D_SET1(value) _mm_set1_pd(value)
#define D_MUL(a, b) _mm_mul_pd(a, b)
#define D_ADD(a, b) _mm_add_pd(a, b)
#define IVEC __m128i
#define I_ZERO() _mm_setzero_si128()
#define I_PAIR(sum, w, x) pair_sum(sum, w, x)
#define I_STORE(place, value) _mm_storeu_si128((__m128i *)(void *)(place), value)

#include "kernels_template.h"

const ae_kernels *ae_kernels_sse2(void)
{
    return &SET;
}

#else

const ae_kernels *ae_kernels_sse2(void)
{
    return NULL;
}

#endif
