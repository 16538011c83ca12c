/* NEON of 64-bit ARM: four lanes, float16 weights widened as they are loaded.
 *
 * 32-bit ARM uses the scalar set: its vector unit takes subnormal numbers for zero, and results would differ. */

#include "kernels.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>
#include <string.h>

static inline int32x4_t pair_sum(int32x4_t sum, const int8_t *w, const int16_t *x)
{
    int32_t both;
    memcpy(&both, x, sizeof both);
    int16x8_t wide = vmovl_s8(vld1_s8(w)), given = vreinterpretq_s16_s32(vdupq_n_s32(both));
    int32x4_t low = vmull_s16(vget_low_s16(wide), vget_low_s16(given));
    int32x4_t high = vmull_high_s16(wide, given);
    return vaddq_s32(sum, vpaddq_s32(low, high));
}

#define LANES 4
#define HALVES 1
#define SET_NAME "neon"
#define VEC float32x4_t
#define V_ZERO() vdupq_n_f32(0.0f)
#define V_LOAD(place) vld1q_f32(place)
#define V_LOAD_HALF(place) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(place)))
#define V_STORE(place, value) vst1q_f32(place, value)
#define V_SET1(value) vdupq_n_f32(value)
#define V_MUL(a, b) vmulq_f32(a, b)
#define V_ADD(a, b) vaddq_f32(a, b)
#define DLANES 2
#define DVEC float64x2_t
#define D_ZERO() vdupq_n_f64(0.0)
#define D_LOAD(place) vld1q_f64(place)
#define D_STORE(place, value) vst1q_f64(place, value)
#define D_SET1(value) vdupq_n_f64(value)
#define D_MUL(a, b) vmulq_f64(a, b)
#define D_ADD(a, b) vaddq_f64(a, b)
#define IVEC int32x4_t
#define I_ZERO() vdupq_n_s32(0)
#define I_PAIR(sum, w, x) pair_sum(sum, w, x)
#define I_STORE(place, value) vst1q_s32(place, value)

#include "kernels_template.h"

const ae_kernels *ae_kernels_neon(void)
{
    return &SET;
}

#else

const ae_kernels *ae_kernels_neon(void)
{
    return NULL;
}

#endif
