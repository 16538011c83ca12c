/* Pitch by a Viterbi search over scores of lags, decided a frame late, and the frame correlation. */

#include "front_end.h"
#include "maths.h"

enum { REACH = FRONT_OCTAVE / 4, MOVES = 2 * REACH + 1 }; /* states that a path moves in one frame without a jump */
enum { HALF = FRONT_OCTAVE, THIRD = 63 };                 /* states up to half and a third of a lag */

static const double STEP_COST = 1.0, JUMP_COST = 1.0, OCTAVE_BIAS = 0.3, MULTIPLE_PENALTY = 0.3;
static const double UNVOICED_REACH = 0.25, CONTOUR_STEP = 0.5, CONTOUR_LIMIT = 1.2, VOICED_ABOVE = 0.1;
static const double PITCH_LIMIT = 1.5, FAR_BELOW = -1e30;
static const double LN_2 = 0.6931471805599453;

static double limited(double x, double least, double most)
{
    x = x < least ? least : x;
    return x > most ? most : x;
}

void ae_pitch_make(ae_front_tables *tables)
{
    double half = ae_exp2_double(0.5 / FRONT_OCTAVE);
    for (int i = 0; i < FRONT_STATES; i++) {
        double octave = (double)(1 << i / FRONT_OCTAVE) * ae_exp2_double((double)(i % FRONT_OCTAVE) / FRONT_OCTAVE);
        double period = FRONT_LAG_MAX / octave;
        int whole = (int)period, least = (int)ceil(period / half), most = (int)floor(period * half);
        if (least > most)
            least = most = (int)floor(period + 0.5);
        tables->period[i] = period;
        tables->whole[i] = whole - FRONT_FIRST_LAG;
        tables->fraction[i] = period - whole;
        tables->least[i] = least - FRONT_FIRST_LAG;
        tables->most[i] = most - FRONT_FIRST_LAG;
        tables->weight[i] = 1.0 + OCTAVE_BIAS * i / FRONT_OCTAVE;
    }
}

_Static_assert(FRONT_LAGS <= 240 && 240 + AETHER_FRAME <= AETHER_FRAME + FRONT_LAST_LAG, "products reach no further than the segment");

void ae_lag_scores(const ae_kernels *kernels, const double piece[FRONT_PIECE], double scores[FRONT_LAGS])
{
    enum { SEGMENT = AETHER_FRAME + FRONT_LAST_LAG, COUNT = 240 };
    const double *segment = piece + FRONT_PIECE - SEGMENT, *current = piece + FRONT_PIECE - AETHER_FRAME;
    double product[COUNT], energy[SEGMENT + 1] = {0};
    kernels->correlate(product, current, segment, AETHER_FRAME, COUNT);
    for (int i = 0; i < SEGMENT; i++)
        energy[i + 1] = energy[i] + segment[i] * segment[i];
    double own = 0.0;
    for (int i = 0; i < AETHER_FRAME; i++)
        own += current[i] * current[i];
    for (int i = 0; i < FRONT_LAGS; i++) {
        int start = FRONT_LAGS - 1 - i;
        scores[i] = 2.0 * product[start] / (1.0 + own + (energy[start + AETHER_FRAME] - energy[start]));
    }
}

static void state_gains(const ae_front_tables *t, const double scores[FRONT_LAGS], double gains[FRONT_STATES])
{
    double cubes[FRONT_STATES];
    for (int i = 0; i < FRONT_STATES; i++) {
        double below = scores[t->whole[i]], best = below + t->fraction[i] * (scores[t->whole[i] + 1] - below);
        for (int lag = t->least[i]; lag <= t->most[i]; lag++)
            best = scores[lag] > best ? scores[lag] : best;
        best = best > 0.0 ? best : 0.0;
        cubes[i] = best * best * best;
    }
    for (int i = 0; i < FRONT_STATES; i++) {
        double shorter = i + HALF < FRONT_STATES ? cubes[i + HALF] : 0.0;
        if (i + THIRD < FRONT_STATES && cubes[i + THIRD] > shorter)
            shorter = cubes[i + THIRD];
        double gain = cubes[i] - MULTIPLE_PENALTY * shorter;
        gains[i] = (gain > 0.0 ? gain : 0.0) * t->weight[i];
    }
}

static double move_cost(int move)
{
    return STEP_COST * (move < REACH ? REACH - move : move - REACH) / FRONT_OCTAVE;
}

int ae_track(const ae_front *front, const double scores[FRONT_LAGS], int first)
{
    double gains[FRONT_STATES], before[FRONT_STATES + 2 * REACH], *total = front->state->total;
    int32_t *best = &front->whole[FRONT_BEST];
    int came_from = *best;
    state_gains(front->tables, scores, gains);
    for (int i = 0; i < FRONT_STATES + 2 * REACH; i++)
        before[i] = FAR_BELOW;
    memcpy(before + REACH, total, FRONT_STATES * sizeof *total);
    if (!first) {
        for (int i = 0; i < FRONT_STATES; i++)
            total[i] = -JUMP_COST;
        for (int move = 0; move < MOVES; move++)
            for (int i = 0; i < FRONT_STATES; i++) {
                double reached = before[i + move] - move_cost(move);
                total[i] = reached > total[i] ? reached : total[i];
            }
    } else {
        memset(total, 0, FRONT_STATES * sizeof *total);
    }
    int now = 0;
    for (int i = 0; i < FRONT_STATES; i++) {
        total[i] += gains[i];
        now = total[i] > total[now] ? i : now;
    }
    double greatest = FAR_BELOW;
    for (int move = 0; move < MOVES; move++) { /* where the best path came from, unless it jumped */
        double reached = before[now + move] - move_cost(move);
        if (reached > greatest) {
            greatest = reached;
            if (reached >= -JUMP_COST)
                came_from = now + move - REACH;
        }
    }
    double most = total[now];
    for (int i = 0; i < FRONT_STATES; i++)
        total[i] -= most;
    *best = now;
    return came_from;
}

/* A real-valued period [samples] near the decided state: the highest local maximum there, refined by a parabola. */
static double refined_period(const ae_front_tables *tables, int decided, const double scores[FRONT_LAGS])
{
    double period = tables->period[decided], width = ae_exp2_double(1.0 / FRONT_OCTAVE);
    int low = (int)ceil(period / width - 0.5) - FRONT_FIRST_LAG, high = (int)floor(period * width + 0.5) - FRONT_FIRST_LAG;
    int at = 0;
    for (int lag = low > 1 ? low : 1; lag <= high && lag < FRONT_LAGS - 1; lag++)
        if (scores[lag] >= scores[lag - 1] && scores[lag] >= scores[lag + 1] && (!at || scores[lag] > scores[at]))
            at = lag;
    if (at) {
        double left = scores[at - 1], right = scores[at + 1], curvature = left - 2.0 * scores[at] + right;
        if (curvature < 0.0)
            period = FRONT_FIRST_LAG + at + 0.5 * (left - right) / curvature;
    }
    return limited(period, FRONT_LAG_MIN, FRONT_LAG_MAX);
}

static double frame_correlation(const double piece[FRONT_PIECE], double pitch)
{
    double period = floor(0.5 + FRONT_LAG_MAX / ae_exp2_double(pitch + 1.5));
    const double *current = piece + FRONT_PIECE - AETHER_FRAME;
    const double *earlier = current - (int)limited(period, FRONT_LAG_MIN, FRONT_LAG_MAX);
    double product = 0.0, own = 0.0, other = 0.0;
    for (int i = 0; i < AETHER_FRAME; i++) {
        product += current[i] * earlier[i];
        own += current[i] * current[i];
        other += earlier[i] * earlier[i];
    }
    double r = product / sqrt(1.0 + own * other);
    return ae_log_double(1.0 + ae_exp_double(5.0 * r)) / ae_log_double(1.0 + ae_exp_double(5.0)) - 0.5;
}

void ae_decide(const ae_front *front, int decided, const double scores[FRONT_LAGS], const double piece[FRONT_PIECE],
               double row[FRONT_ROW])
{
    double *contour = &front->state->contour;
    double octaves = ae_log_double(FRONT_LAG_MAX / refined_period(front->tables, decided, scores)) / LN_2 - 1.5;
    double tracked = (double)(float)limited(octaves, -PITCH_LIMIT, PITCH_LIMIT), value = tracked;
    double correlation = frame_correlation(piece, tracked);
    if (correlation > VOICED_ABOVE)
        *contour = limited(*contour + CONTOUR_STEP * (tracked - *contour), -CONTOUR_LIMIT, CONTOUR_LIMIT);
    else
        value = (double)(float)limited(tracked, *contour - UNVOICED_REACH, *contour + UNVOICED_REACH);
    if (value != tracked)
        correlation = frame_correlation(piece, value);
    row[FRONT_PITCH] = value;
    row[FRONT_VOICING] = correlation;
}
