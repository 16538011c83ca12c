/* Muting of decoded speech where little can be understood, with short fades; the rules are those of
 * aether_lite.streaming.synthesis: runs of lost tokens, tokens without use, and Page's test for noise only. */
#ifndef AETHER_MUTING_H
#define AETHER_MUTING_H

#include "codec.h"

enum { MUTING_FADE = 320 }; /* samples, raised cosine */

/* What passes from one token to the next: parts of a stream's state. */
typedef struct {
    double *lost_s;      /* length of the run of lost tokens that ends here [s] */
    double *evidence;    /* sum of the test [nats] */
    int32_t *noise_only; /* whether the test decides that nobody sends */
    int32_t *faded;      /* samples of the fade done; 0 is on, MUTING_FADE is silent */
} ae_muting;

/* Take a token of `rate` that ae_accept made. */
void ae_judge(const ae_muting *muting, const ae_codec *codec, int32_t rate, const aether_received *token);

/* Whether the newest token is muted. */
int ae_muted(const ae_muting *muting);

/* Fade samples in place. */
void ae_fade(const ae_muting *muting, float *samples, size_t count);

#endif
