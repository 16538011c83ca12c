/* The networks of a file and the kernels that run them; never changed once made. */
#ifndef AETHER_MODEL_H
#define AETHER_MODEL_H

#include "codec.h"
#include "fargan.h"
#include "front_end.h"
#include "hnsf.h"

struct aether_model {
    const ae_kernels *kernels;
    uint8_t id[8]; /* first bytes of the file's digest */
    ae_front_tables *front;
    enum { AE_NO_VOCODER, AE_FARGAN, AE_HNSF } vocoder;
    int has_codec;
    ae_fargan fargan;
    ae_hnsf hnsf;
    ae_codec codec;
};

#endif
