/* The vocoder of a model within a stream: rows to samples, in line with the analysed speech.
 *
 * The stream is primed by its first row, and ended by its last row repeated; what sticks out at both ends is cut. The
 * samples of a row end `delay - 160` before its centre. */
#ifndef AETHER_VOICE_H
#define AETHER_VOICE_H

#include "model.h"

enum { VOICE_BEGUN, VOICE_CUT, VOICE_PLACE, VOICE_WHOLE }; /* whole numbers; CUT are samples before the speech, to come */

typedef struct {
    const aether_model *model;
    union {
        struct {
            ae_fargan_state state;
            ae_fargan_work work;
        } fargan;
        struct {
            ae_hnsf_state state;
            ae_hnsf_work work;
        } hnsf;
    } net;
    const float *last; /* row */
    int32_t *whole;    /* [VOICE_WHOLE] */
} ae_voice;

/* Samples from the oldest one that comes with a row to the row's centre; 0 without a vocoder. */
int32_t ae_voice_delay(const aether_model *model);

/* Floats of the state, beside a double and VOICE_WHOLE whole numbers. */
size_t ae_voice_floats(const aether_model *model);

/* Take room for a block's work. */
void ae_voice_take(ae_voice *voice, const aether_model *model, ae_arena *arena);

/* Where the state is. */
void ae_voice_place(ae_voice *voice, float *floats, double *phase, int32_t *whole, int32_t limits[VOICE_WHOLE][2]);

/* The samples, at most 160 a row in [-1, 1], that rows [count, 20] make known. samples: room for 160 a row. */
size_t ae_voice_push(const ae_voice *voice, const float *rows, size_t count, float *samples);

/* The last samples, as many as the delay, none if no row came; the voice is then as new once its state is cleared. */
size_t ae_voice_end(const ae_voice *voice, float *samples);

#endif
