/* Reference kernels: one lane, for every machine. */

#define LANES 1
#define HALVES 0
#define SET_NAME "scalar"
#define VEC float
#define V_ZERO() 0.0f
#define V_LOAD(place) (*(place))
#define V_STORE(place, value) (*(place) = (value))
#define V_SET1(value) (value)
#define V_MUL(a, b) ((a) * (b))
#define V_ADD(a, b) ((a) + (b))
#define DLANES 1
#define DVEC double
#define D_ZERO() 0.0
#define D_LOAD(place) (*(place))
#define D_STORE(place, value) (*(place) = (value))
#define D_SET1(value) (value)
#define D_MUL(a, b) ((a) * (b))
#define D_ADD(a, b) ((a) + (b))
#define IVEC int32_t
#define I_ZERO() 0
#define I_PAIR(sum, w, x) ((sum) + (w)[0] * (x)[0] + (w)[1] * (x)[1])
#define I_STORE(place, value) (*(place) = (value))

#include "kernels_template.h"

const ae_kernels *ae_kernels_scalar(void)
{
    return &SET;
}
