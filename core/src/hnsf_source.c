/* Excitation of hnsf and the filters that shape it. */

#include "hnsf.h"
#include "maths.h"

static const double HIGHEST_CYCLES = 7600.0 / 16000.0; /* highest harmonic [cycles a sample] */
static const double LEAST_STEP = 50.0 / 16000.0, MOST_STEP = 600.0 / 16000.0, LOWEST = 62.5 / 16000.0;
static const double SINE_FLOOR = 1e-4, SQRT_2 = 1.4142135623730951, SQRT_3 = 1.7320508075688772;
static const float HALF_LN_10 = 1.15129255f, LARGEST = 3.0f; /* nepers of a filter above the stated envelope */
static const float STEEPEST = 40.0f;                         /* nepers: no filter is beyond it */
static const float TURNS = 0.159154943f;                     /* of a radian */
static const float LARGEST_GAIN = 3.0f;                      /* of a band of noise */
enum { BANDS = 10 };                                         /* of noise, each with a gain of its own */
static const int BAND_EDGE[BANDS + 1] = {0, 3, 6, 10, 16, 26, 42, 68, 110, 178, HNSF_BINS};
enum { HARMONIC, NOISE, PHASE, DEPTH };

/* Uniform noise of variance 1: a hash of the sample's number, the finaliser of MurmurHash3. */
static float noise_of(uint32_t place)
{
    uint32_t x = place * 0x9E3779B1u;
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    x ^= x >> 16;
    return (float)(((double)x / 2147483648.0 - 1.0) * SQRT_3);
}

void ae_hnsf_excite(const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work, float before,
                    float after, float *pulses, float *noise, float *modulated)
{
    double *half = work->track[0], *odd = work->track[1], *next = work->track[2], *whole_turns = work->track[3];
    double *number = work->track[4], phase = *state->phase - floor(*state->phase);
    double octaves = LOWEST * ae_exp2_double((double)before + 1.5);
    double ratio = ae_exp2_double(((double)after - (double)before) / AETHER_FRAME);
    for (int i = 0; i < AETHER_FRAME; i++, octaves *= ratio) {
        double step = octaves > LEAST_STEP ? octaves : LEAST_STEP;
        step = step < MOST_STEP ? step : MOST_STEP;
        double cycles = phase > 0.5 ? phase - 1.0 : phase;
        phase += step;
        phase = phase >= 1.0 ? phase - 1.0 : phase;
        number[i] = HIGHEST_CYCLES / step;
        double whole = (double)(int)number[i];
        half[i] = 0.5 * cycles - 0.25; /* cosines of these are sin(pi c), sin((2 w + 1) pi c), .. */
        odd[i] = (whole + 0.5) * cycles - 0.25;
        next[i] = (whole + 1.0) * cycles;
        whole_turns[i] = cycles;
    }
    *state->phase = phase;
    kernels->cosine_f64(half, AETHER_FRAME);
    kernels->cosine_f64(odd, AETHER_FRAME);
    kernels->cosine_f64(next, AETHER_FRAME);
    kernels->cosine_f64(whole_turns, AETHER_FRAME);
    uint32_t place = (uint32_t)*state->place;
    for (int i = 0; i < AETHER_FRAME; i++) {
        double whole = (double)(int)number[i], limit = 2.0 * whole + 1.0;
        double kernel = fabs(half[i]) < SINE_FLOOR ? limit : odd[i] / half[i];
        double cosines = (kernel - 1.0) / 2.0 + (number[i] - whole) * next[i];
        pulses[i] = (float)(cosines * sqrt(2.0 / number[i]));
        noise[i] = noise_of(place + (uint32_t)i);
        modulated[i] = noise[i] * (float)(SQRT_2 * whole_turns[i]);
    }
    place += AETHER_FRAME;
    memcpy(state->place, &place, sizeof place);
}

static float interpolated(const ae_between *table, int place, const float *values)
{
    int below = table->below[place];
    float share = table->share[place];
    return values[below] * (1.0f - share) + values[below + 1] * share;
}

/* log10 energies of the bands that a row states. */
static void log_bands(const ae_hnsf_tables *tables, const float *row, float bands[FRONT_BANDS])
{
    memset(bands, 0, FRONT_BANDS * sizeof *bands);
    for (int i = 0; i < FRONT_BANDS; i++)
        for (int band = 0; band < FRONT_BANDS; band++)
            bands[band] += row[i] * tables->dct[i][band];
    for (int band = 0; band < FRONT_BANDS; band++)
        bands[band] += tables->offset[band];
}

/* The filters of a segment from the envelope that bands state and the network's outputs; the depth is returned. */
static float shape(const ae_hnsf_tables *tables, const ae_kernels *kernels, const ae_hnsf_work *work,
                   const float bands[FRONT_BANDS], const float *values)
{
    float levels[FRONT_BANDS], *harmonic = work->stated, *noise = work->stated + HNSF_POINTS;
    for (int band = 0; band < FRONT_BANDS; band++)
        levels[band] = bands[band] * HALF_LN_10 + tables->level[band];
    for (int i = 0; i < HNSF_POINTS; i++) {
        float stated = interpolated(&tables->bands, i, levels), above = values[HARMONIC * HNSF_POINTS + i];
        float other = values[NOISE * HNSF_POINTS + i];
        harmonic[i] = stated + (above < LARGEST ? above : LARGEST);
        noise[i] = stated + (other < LARGEST ? other : LARGEST);
    }
    for (int k = 0; k < HNSF_BINS; k++) {
        work->filter[0][k] = ae_limit(interpolated(&tables->points, k, harmonic), STEEPEST);
        work->filter[1][k] = ae_limit(interpolated(&tables->points, k, noise), STEEPEST);
        work->filter[2][k] = TURNS * interpolated(&tables->points, k, values + PHASE * HNSF_POINTS);
        work->filter[3][k] = work->filter[2][k] - 0.25f; /* its cosine is a sine */
    }
    kernels->exp(work->filter[0], HNSF_BINS);
    kernels->exp(work->filter[1], HNSF_BINS);
    kernels->cosine_f32(work->filter[2], HNSF_BINS);
    kernels->cosine_f32(work->filter[3], HNSF_BINS);
    return ae_tanh(values[DEPTH * HNSF_POINTS]);
}

/* Filter the segment at `at` of the source: its spectrum [257] in re, im. */
static void filter(const ae_hnsf_tables *tables, const ae_kernels *kernels, const ae_hnsf_work *work,
                   const float *const source[3], int at, float depth, float *re, float *im)
{
    const float *window = tables->window, *pulses = source[0] + at, *noise = source[1] + at, *other = source[2] + at;
    for (int i = 0; i < HNSF_SEGMENT; i++) {
        re[i] = pulses[i] * window[i];
        im[i] = (noise[i] + depth * other[i]) * window[i];
    }
    memset(re + HNSF_SEGMENT, 0, (HNSF_FFT - HNSF_SEGMENT) * sizeof *re);
    memset(im + HNSF_SEGMENT, 0, (HNSF_FFT - HNSF_SEGMENT) * sizeof *im);
    kernels->fft_f32(tables->cosine, tables->sine, HNSF_FFT, HNSF_FFT, re, im, work->spare[0], work->spare[1]);
    const float expected = 3.0f / 32.0f * HNSF_SEGMENT * (1.0f + depth * depth); /* the window's energy, modulated */
    for (int band = 0; band < BANDS; band++) {
        float power = 0.0f;
        for (int k = BAND_EDGE[band]; k < BAND_EDGE[band + 1]; k++) {
            int mirror = k ? HNSF_FFT - k : 0;
            float noise_re = 0.5f * (im[k] + im[mirror]), noise_im = 0.5f * (re[mirror] - re[k]);
            power += noise_re * noise_re + noise_im * noise_im;
        }
        float wanted = expected * (float)(BAND_EDGE[band + 1] - BAND_EDGE[band]);
        float limit = LARGEST_GAIN * LARGEST_GAIN * power;
        float gain = wanted < limit ? sqrtf(wanted / power) : LARGEST_GAIN;
        for (int k = BAND_EDGE[band]; k < BAND_EDGE[band + 1]; k++)
            work->filter[1][k] *= gain;
    }
    for (int k = 0; k < HNSF_BINS; k++) { /* the two real signals apart, each with its filter */
        int mirror = k ? HNSF_FFT - k : 0;
        float pulse_re = 0.5f * (re[k] + re[mirror]), pulse_im = 0.5f * (im[k] - im[mirror]);
        float noise_re = 0.5f * (im[k] + im[mirror]), noise_im = 0.5f * (re[mirror] - re[k]);
        float c = work->filter[0][k] * work->filter[2][k], s = work->filter[0][k] * work->filter[3][k];
        work->spare[0][k] = pulse_re * c - pulse_im * s + noise_re * work->filter[1][k];
        work->spare[1][k] = pulse_re * s + pulse_im * c + noise_im * work->filter[1][k];
    }
    memcpy(re, work->spare[0], HNSF_BINS * sizeof *re);
    memcpy(im, work->spare[1], HNSF_BINS * sizeof *im);
    im[0] = im[HNSF_BINS - 1] = 0.0f;
}

void ae_hnsf_filter(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work,
                    const float *const source[3], const float *before, const float *row, const float *values,
                    float *samples)
{
    const ae_hnsf_tables *tables = net->tables;
    float now[FRONT_BANDS], middle[FRONT_BANDS], *re = work->re[0], *im = work->im[0], *made = work->made;
    log_bands(tables, before, middle);
    log_bands(tables, row, now);
    for (int band = 0; band < FRONT_BANDS; band++)
        middle[band] = (middle[band] + now[band]) / 2.0f;
    for (int half = 0; half < 2; half++) {
        float depth = shape(tables, kernels, work, half ? now : middle, values + half * HNSF_HALF);
        filter(tables, kernels, work, source, half * HNSF_HOP, depth, work->re[half], work->im[half]);
    }
    /* Both at once: the spectrum of first + i second, with re and im changed over for the inverse. */
    const float *second_re = work->re[1], *second_im = work->im[1];
    for (int k = 1; k < HNSF_BINS - 1; k++) {
        re[HNSF_FFT - k] = re[k] + second_im[k];
        im[HNSF_FFT - k] = second_re[k] - im[k];
    }
    for (int k = 0; k < HNSF_BINS; k++) {
        re[k] = re[k] - second_im[k];
        im[k] = im[k] + second_re[k];
    }
    kernels->fft_f32(tables->cosine, tables->sine, HNSF_FFT, HNSF_FFT, im, re, work->spare[0], work->spare[1]);
    const int ahead = (HNSF_RESPONSE - HNSF_SEGMENT) / 2; /* samples that a filter may answer before its input */
    memcpy(made, state->overlap, (HNSF_REACH - HNSF_HOP) * sizeof *made);
    memset(made + HNSF_REACH - HNSF_HOP, 0, 2 * HNSF_HOP * sizeof *made);
    for (int half = 0; half < 2; half++) {
        const float *signal = half ? im : re;
        float *target = made + half * HNSF_HOP;
        for (int i = 0; i < ahead; i++)
            target[i] += signal[HNSF_FFT - ahead + i] * (1.0f / HNSF_FFT) * tables->taper[i];
        for (int i = ahead; i < HNSF_RESPONSE; i++)
            target[i] += signal[i - ahead] * (1.0f / HNSF_FFT) * tables->taper[i];
    }
    memcpy(samples, made, AETHER_FRAME * sizeof *samples);
    for (int i = 0; i < HNSF_REACH - HNSF_HOP; i++)
        state->overlap[i] = ae_flushed(made[AETHER_FRAME + i]);
}
