/* A vocoder within a stream: rows to samples, in line with the analysed speech. Another kind has its place here.
 *
 * A frame of samples belongs to the row before the newest and is centred on it. The stream is primed by its first row,
 * and ended by its last row repeated; the half frames that stick out at both ends are cut. */
#ifndef AETHER_VOICE_H
#define AETHER_VOICE_H

#include "model.h"

enum { VOICE_NO_ROW, VOICE_PRIMED, VOICE_RUNNING }; /* *started */
enum { VOICE_LAST = AETHER_FRAME + AETHER_FRAME / 2 }; /* samples at the end of a stream */

typedef struct {
    const aether_model *model;
    ae_fargan_state net;
    ae_fargan_work work;
    int32_t *started;
} ae_voice;

/* Floats of the state. */
size_t ae_voice_floats(const aether_model *model);

/* The samples, at most 160 in [-1, 1], that a row makes known. */
size_t ae_voice_push(const ae_voice *voice, const float *row, float *samples);

/* The last samples, at most 240; the voice is then as new once its state is cleared. */
size_t ae_voice_end(const ae_voice *voice, float *samples);

#endif
