/* Choice of a set of kernels. */

#include "kernels.h"

#include <string.h>

const ae_kernels *ae_kernels_find(const char *name)
{
    const ae_kernels *sets[] = {
        ae_kernels_avx2(), ae_kernels_neon(), ae_kernels_wasm(), ae_kernels_sse2(), ae_kernels_scalar(),
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i] && (!name || !strcmp(name, sets[i]->name)))
            return sets[i];
    return NULL;
}
