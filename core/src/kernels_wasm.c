/* WebAssembly simd128: four lanes. float16 weights are widened when a model is made. */

#include "kernels.h"

#if defined(__wasm_simd128__)

#include <string.h>
#include <wasm_simd128.h>

static inline v128_t pair_sum(v128_t sum, const int8_t *w, const int16_t *x)
{
    int32_t both;
    memcpy(&both, x, sizeof both);
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(w), wasm_i32x4_splat(both)));
}

#define LANES 4
#define HALVES 0
#define SET_NAME "wasm"
#define VEC v128_t
#define V_ZERO() wasm_f32x4_const_splat(0.0f)
#define V_LOAD(place) wasm_v128_load(place)
#define V_STORE(place, value) wasm_v128_store(place, value)
#define V_SET1(value) wasm_f32x4_splat(value)
#define V_MUL(a, b) wasm_f32x4_mul(a, b)
#define V_ADD(a, b) wasm_f32x4_add(a, b)
#define DLANES 2
#define DVEC v128_t
#define D_ZERO() wasm_f64x2_const_splat(0.0)
#define D_LOAD(place) wasm_v128_load(place)
#define D_STORE(place, value) wasm_v128_store(place, value)
#define D_SET1(value) wasm_f64x2_splat(value)
#define D_MUL(a, b) wasm_f64x2_mul(a, b)
#define D_ADD(a, b) wasm_f64x2_add(a, b)
#define IVEC v128_t
#define I_ZERO() wasm_i32x4_const_splat(0)
#define I_PAIR(sum, w, x) pair_sum(sum, w, x)
#define I_STORE(place, value) wasm_v128_store(place, value)

#include "kernels_template.h"

const ae_kernels *ae_kernels_wasm(void)
{
    return &SET;
}

#else

const ae_kernels *ae_kernels_wasm(void)
{
    return NULL;
}

#endif
