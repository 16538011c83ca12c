/* FARGAN's features of speech as it arrives, one frame of 160 samples at a time, and the high-pass before them.
 *
 * A row of 36: cepstrum c0..c17, pitch [octaves], frame correlation, LPC a1..a16. What each step computes is said where
 * Python computes it: aether_lite.features. Everything is double; a row is rounded to float at the end. */
#ifndef AETHER_FRONT_END_H
#define AETHER_FRONT_END_H

#include "aether.h"
#include "fft.h"
#include "kernels.h"

enum {
    FRONT_BANDS = 18,
    FRONT_LPC = 16,
    FRONT_PITCH = 18,
    FRONT_VOICING = 19,
    FRONT_FIRST_LPC = 20,
    FRONT_ROW = 36,
    FRONT_WINDOW = 2 * AETHER_FRAME,
    FRONT_LAG_MIN = 32,
    FRONT_LAG_MAX = 256,
    FRONT_GUARD = 2, /* lags beyond the range, for interpolation at its ends */
    FRONT_FIRST_LAG = FRONT_LAG_MIN - FRONT_GUARD,
    FRONT_LAST_LAG = FRONT_LAG_MAX + FRONT_GUARD,
    FRONT_LAGS = FRONT_LAST_LAG - FRONT_FIRST_LAG + 1,
    FRONT_OCTAVE = 40, /* pitch states in an octave */
    FRONT_STATES = 3 * FRONT_OCTAVE + 1,
    FRONT_HISTORY = 2, /* rows of low-passed residual that hold a lag of up to 256 */
    FRONT_PIECE = (FRONT_HISTORY + 1) * AETHER_FRAME,
    FRONT_SECTIONS = 2, /* of the high-pass */
};

extern const int32_t AE_BAND_BINS[FRONT_BANDS]; /* centres of the bands, in bins of 50 Hz */

/* Constants; made once for a model. */
typedef struct {
    ae_fft fft;
    double window[FRONT_WINDOW];
    double falling[AETHER_FRAME], rising[AETHER_FRAME]; /* weights of a bin in the bands below and above */
    double dct[FRONT_BANDS][FRONT_BANDS];
    double autocorrelation[FRONT_BANDS][FRONT_LPC + 1];
    double period[FRONT_STATES], fraction[FRONT_STATES], weight[FRONT_STATES];
    int32_t whole[FRONT_STATES], least[FRONT_STATES], most[FRONT_STATES]; /* lags of a state */
    double numerator[FRONT_SECTIONS][3], denominator[FRONT_SECTIONS][2];
} ae_front_tables;

void ae_front_tables_make(ae_front_tables *tables);
void ae_condition_make(ae_front_tables *tables);
void ae_spectrum_make(ae_front_tables *tables);
void ae_pitch_make(ae_front_tables *tables);

/* State of a stream. The whole numbers come first in what is saved, then the doubles in this order. */
enum { FRONT_FILLED, FRONT_HELD, FRONT_BEST, FRONT_CONDITIONED, FRONT_WHOLE };

typedef struct {
    double filter[2 * FRONT_SECTIONS];
    double waiting[AETHER_FRAME];    /* samples of a part frame, int16 scale */
    double last_sample;
    double emphasised[AETHER_FRAME]; /* of the frame before */
    double lowpass[2];
    double residual[FRONT_PIECE + AETHER_FRAME]; /* low-passed, of four frames; the newest last */
    double held[FRONT_ROW];          /* the newest row, whose pitch is not yet decided */
    double scores[FRONT_LAGS];       /* of that row */
    double total[FRONT_STATES];      /* gain of the best path to each state, relative to the best of all */
    double contour;                  /* octaves */
} ae_front_state;

extern const int32_t AE_FRONT_LIMITS[FRONT_WHOLE][2];

typedef struct {
    const ae_front_tables *tables;
    const ae_kernels *kernels;
    int32_t *whole;
    ae_front_state *state;
} ae_front;

/* A new stream; the state is zero. */
void ae_front_begin(const ae_front *front, int condition);

/* Take samples until a row is ready; how many were taken. The row [36] of a frame is ready when the next is complete.
 * Samples must be finite. */
size_t ae_front_push(const ae_front *front, const float *samples, size_t count, float *row, int *ready);

/* The row held back, if any; samples short of a frame are dropped. The stream is then of no use. */
int ae_front_flush(const ae_front *front, float *row);

/* Whether samples from outside are finite and not far beyond full scale; an error code. */
int ae_check_samples(const float *samples, size_t count);

/* Steps of a frame. */
void ae_condition(const ae_front *front, double *sample);
void ae_cepstrum(const ae_front_tables *tables, const ae_kernels *kernels, const double window[FRONT_WINDOW],
                 double cepstrum[FRONT_BANDS]);
void ae_lpc(const ae_front_tables *tables, const double cepstrum[FRONT_BANDS], double lpc[FRONT_LPC]);
void ae_lag_scores(const ae_kernels *kernels, const double piece[FRONT_PIECE], double scores[FRONT_LAGS]);
/* Take a frame's scores; the state of the frame before is returned (of no meaning for the first frame). */
int ae_track(const ae_front *front, const double scores[FRONT_LAGS], int first);
/* Set pitch and correlation of a row from its decided state, scores and piece of residual. */
void ae_decide(const ae_front *front, int decided, const double scores[FRONT_LAGS], const double piece[FRONT_PIECE],
               double row[FRONT_ROW]);

#endif
