#include "front_end.h"

#include "maths.h"

static const double INT16_SCALE = 32768.0, PREEMPHASIS = 0.85;
static const double LOWPASS_B1 = -0.84946, LOWPASS_A1 = -1.54220, LOWPASS_A2 = 0.70781; /* about 1.2 kHz */

const int32_t AE_FRONT_LIMITS[FRONT_WHOLE][2] = {{0, AETHER_FRAME - 1}, {0, 1}, {0, FRONT_STATES - 1}, {0, 1}};

void ae_front_tables_make(ae_front_tables *tables)
{
    ae_condition_make(tables);
    ae_spectrum_make(tables);
    ae_pitch_make(tables);
}

void ae_front_begin(const ae_front *front, int condition)
{
    memset(front->whole, 0, FRONT_WHOLE * sizeof *front->whole);
    memset(front->state, 0, sizeof *front->state);
    front->whole[FRONT_CONDITIONED] = condition;
}

/* Residual of the 160 samples in the middle of a window, low-passed. */
static void residual(ae_front_state *state, const double window[FRONT_WINDOW], const double lpc[FRONT_LPC], double *out)
{
    const double *centre = window + AETHER_FRAME / 2;
    double errors[AETHER_FRAME];
    memcpy(errors, centre, sizeof errors);
    for (int k = 1; k <= FRONT_LPC; k++)
        for (int i = 0; i < AETHER_FRAME; i++)
            errors[i] += lpc[k - 1] * centre[i - k];
    double one = state->lowpass[0], two = state->lowpass[1];
    for (int i = 0; i < AETHER_FRAME; i++) { /* transposed direct form II */
        double value = errors[i] + one;
        one = LOWPASS_B1 * errors[i] - LOWPASS_A1 * value + two;
        two = errors[i] - LOWPASS_A2 * value;
        out[i] = ae_flushed_double(value);
    }
    state->lowpass[0] = ae_flushed_double(one);
    state->lowpass[1] = ae_flushed_double(two);
}

static void write_row(const double *row, float *out)
{
    for (int i = 0; i < FRONT_ROW; i++)
        out[i] = (float)row[i];
}

/* The waiting frame is whole; whether a row is ready. */
static int analyse(const ae_front *front, float *out)
{
    ae_front_state *state = front->state;
    double window[FRONT_WINDOW], row[FRONT_ROW], scores[FRONT_LAGS];
    memcpy(window, state->emphasised, sizeof state->emphasised);
    for (int i = 0; i < AETHER_FRAME; i++) {
        double before = i ? state->waiting[i - 1] : state->last_sample;
        window[AETHER_FRAME + i] = state->waiting[i] - PREEMPHASIS * before;
    }
    state->last_sample = state->waiting[AETHER_FRAME - 1];
    memcpy(state->emphasised, window + AETHER_FRAME, sizeof state->emphasised);
    ae_cepstrum(front->tables, front->kernels, window, row);
    ae_lpc(front->tables, row, row + FRONT_FIRST_LPC);
    memmove(state->residual, state->residual + AETHER_FRAME, FRONT_PIECE * sizeof *state->residual);
    residual(state, window, row + FRONT_FIRST_LPC, state->residual + FRONT_PIECE);
    ae_lag_scores(front->kernels, state->residual + AETHER_FRAME, scores);
    int ready = front->whole[FRONT_HELD], decided = ae_track(front, scores, !ready);
    if (ready) {
        ae_decide(front, decided, state->scores, state->residual, state->held);
        write_row(state->held, out);
    }
    memcpy(state->held, row, sizeof row);
    memcpy(state->scores, scores, sizeof scores);
    front->whole[FRONT_HELD] = 1;
    return ready;
}

size_t ae_front_push(const ae_front *front, const float *samples, size_t count, float *row, int *ready)
{
    int32_t *filled = &front->whole[FRONT_FILLED];
    *ready = 0;
    for (size_t i = 0; i < count; i++) {
        double sample = (double)samples[i];
        if (front->whole[FRONT_CONDITIONED])
            ae_condition(front, &sample);
        front->state->waiting[(*filled)++] = INT16_SCALE * sample;
        if (*filled == AETHER_FRAME) {
            *filled = 0;
            *ready = analyse(front, row);
            if (*ready)
                return i + 1;
        }
    }
    return count;
}

int ae_front_flush(const ae_front *front, float *row)
{
    ae_front_state *state = front->state;
    if (!front->whole[FRONT_HELD])
        return 0;
    ae_decide(front, front->whole[FRONT_BEST], state->scores, state->residual + AETHER_FRAME, state->held);
    write_row(state->held, row);
    return 1;
}
