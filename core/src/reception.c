#include "reception.h"

#include "bottleneck.h"
#include "maths.h"

static const float OUTLIER = 4.0f, PEAK = 1e4f, LEAST_POWER = 1e-3f, UNKNOWN_NOISE = 0.1f;
static const float LARGEST_POWER = 1e18f; /* |y|^2, |h|^2, N0 */
enum { LEVEL_FRAMES = 500 };              /* the reference is a mean over 5 s */

size_t ae_levels(const ae_codec *codec)
{
    int32_t half_even = (LEVEL_FRAMES + codec->frames / 2) / codec->frames;
    if (codec->frames > 1 && LEVEL_FRAMES % codec->frames == codec->frames / 2)
        half_even -= half_even % 2;
    return codec->bits ? 0 : (size_t)half_even;
}

ae_door_work ae_take_door_work(const ae_codec *codec, ae_arena *arena)
{
    ae_door_work work;
    work.values = ae_take_floats(arena, 2 * (size_t)codec->pairs);
    work.gain = ae_take_floats(arena, 2 * (size_t)codec->pairs);
    work.sorted = ae_take_floats(arena, ae_levels(codec));
    return work;
}

/* The value that has place k of n in rising order; they are moved. */
static float selected(float *values, int32_t n, int32_t k)
{
    for (int32_t first = 0, last = n - 1; first < last;) {
        float pivot = values[first + (last - first) / 2];
        int32_t low = first, high = last;
        while (low <= high) {
            while (values[low] < pivot)
                low++;
            while (values[high] > pivot)
                high--;
            if (low <= high) {
                float other = values[low];
                values[low++] = values[high];
                values[high--] = other;
            }
        }
        if (k <= high)
            last = high;
        else if (k >= low)
            first = low;
        else
            break;
    }
    return values[k];
}

/* Mean of the levels that are there, outliers limited; 1 without any. */
static float reference_of(const ae_codec *codec, const ae_door_work *work, const float *levels)
{
    int32_t window = (int32_t)ae_levels(codec), count = 0;
    double sum = 0.0;
    for (int32_t i = 0; i < window; i++)
        count += levels[i] > 0.0f;
    if (!count)
        return 1.0f;
    memcpy(work->sorted, levels, (size_t)window * sizeof *levels);
    float most = OUTLIER * selected(work->sorted, window, window - 1 - count / 2);
    for (int32_t i = 0; i < window; i++)
        sum += (double)(levels[i] < most ? levels[i] : most);
    return (float)(sum / count);
}

static float power_of(const float *values, int32_t i)
{
    return values[2 * i] * values[2 * i] + values[2 * i + 1] * values[2 * i + 1];
}

/* Whether the powers of n complex values can be; NaN cannot. */
static int fit(const float *values, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (!(power_of(values, i) <= LARGEST_POWER))
            return 0;
    return 1;
}

static float mean_power(const float *values, int32_t n)
{
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++)
        sum += (double)power_of(values, i);
    return (float)(sum / n);
}

/* The gains of a token; NULL where none of them is known. */
static const float *known_gain(const float *gain, int32_t n)
{
    for (int32_t i = 0; gain && i < n; i++) {
        float power = power_of(gain, i);
        if (power == power)
            return gain;
    }
    return NULL;
}

static aether_received accept_symbols(const ae_codec *codec, const ae_door_work *work, int32_t n,
                                      const aether_received *token, float *levels)
{
    float noise = token->noise_variance;
    const float *gain = token->lost ? NULL : known_gain(token->gain, n);
    int known = noise >= 0.0f && noise <= LARGEST_POWER;
    int lost = token->lost || !(known || noise != noise) || !fit(token->values, n) || (gain && !fit(gain, n));
    float level = 0.0f;
    if (!lost)
        level = gain ? mean_power(gain, n) : known ? 1.0f : mean_power(token->values, n) / (1.0f + UNKNOWN_NOISE);
    size_t window = ae_levels(codec);
    memmove(levels, levels + 1, (window - 1) * sizeof *levels);
    levels[window - 1] = level;
    for (size_t i = 0; i < window; i++) /* they may come from a stored state */
        levels[i] = levels[i] > 0.0f && levels[i] <= LARGEST_POWER ? levels[i] : 0.0f;
    float reference = reference_of(codec, work, levels), root = sqrtf(reference);
    noise = known ? noise / reference : NAN;
    for (int32_t i = 0; i < n && !lost; i++) {
        float explained = (gain ? power_of(gain, i) / reference : 1.0f) + (known ? noise : UNKNOWN_NOISE);
        lost = power_of(token->values, i) / reference > PEAK * (explained > LEAST_POWER ? explained : LEAST_POWER);
        for (int32_t part = 2 * i; part < 2 * i + 2; part++) {
            work->values[part] = token->values[part] / root;
            work->gain[part] = gain ? gain[part] / root : part % 2 ? 0.0f : 1.0f;
        }
    }
    return (aether_received){work->values, work->gain, noise, lost};
}

aether_received ae_accept(const ae_codec *codec, const ae_door_work *work, int32_t rate, const aether_received *token,
                          float *levels)
{
    int32_t n = ae_codec_elements(codec, rate);
    if (!codec->bits)
        return accept_symbols(codec, work, n, token, levels);
    aether_received accepted = {token->values, NULL, NAN, token->lost};
    for (int32_t i = 0; i < n && !accepted.lost; i++)
        accepted.lost = !(fabsf(token->values[i]) <= 1.0f);
    return accepted;
}
