#include "muting.h"

#include "maths.h"

static const double GAP_S = 0.4 + 1e-9;      /* of lost tokens that are concealed; a longer run is muted */
static const double USELESS_SNR = 0.063095734448019325; /* -12 dB: mean |h|^2 / N0 below which nothing of use came */
static const float USELESS_RELIABILITY = 0.04f; /* mean s^2 of bits below which nothing of use came */
static const double MUTE_EVIDENCE = 8.0, LISTEN_EVIDENCE = 6.0; /* nats */
static const double NOISE_FLOOR = 1e-3;
static const double PILOT_SPACING = 10.0;

int ae_muted(const ae_muting *muting)
{
    return *muting->noise_only || *muting->lost_s > GAP_S;
}

/* |z|^2 of complex value i. */
static double power_of(const float *values, int32_t i)
{
    double re = (double)values[2 * i], im = (double)values[2 * i + 1];
    return re * re + im * im;
}

static int useless_bits(const aether_received *token, int32_t count)
{
    float total = 0.0f;
    for (int32_t i = 0; i < count; i++)
        total += token->values[i] * token->values[i];
    return total / (float)count < USELESS_RELIABILITY;
}

static int useless_symbols(const aether_received *token, int32_t count)
{
    double total = 0.0;
    for (int32_t i = 0; i < count; i++)
        total += power_of(token->gain, i);
    return total / count < (double)token->noise_variance * USELESS_SNR;
}

/* Evidence [nats] of a token for speech, against noise only. */
static double speech_evidence(const aether_received *token, int32_t count)
{
    double noise = (double)token->noise_variance > NOISE_FLOOR ? (double)token->noise_variance : NOISE_FLOOR, sum = 0.0;
    for (int32_t i = 0; i < count; i++) {
        double power = power_of(token->gain, i), sent = power < 1.0 ? power : 1.0;
        sum += power_of(token->values, i) * (1.0 / noise - 1.0 / (sent + noise)) - ae_log_double(1.0 + sent / noise);
    }
    return sum / (1.0 + PILOT_SPACING);
}

static void test_noise(const ae_muting *muting, double evidence)
{
    double sum = *muting->evidence + evidence;
    int turns;
    if (*muting->noise_only) {
        sum = sum > 0.0 ? sum : 0.0;
        turns = sum > LISTEN_EVIDENCE;
    } else {
        sum = sum < 0.0 ? sum : 0.0;
        turns = sum < -MUTE_EVIDENCE;
    }
    *muting->evidence = turns ? 0.0 : sum;
    *muting->noise_only ^= turns;
}

void ae_judge(const ae_muting *muting, const ae_codec *codec, int32_t rate, const aether_received *token)
{
    int32_t count = ae_codec_elements(codec, rate);
    int known = token->noise_variance >= 0.0f, lost = token->lost;
    if (known && !lost)
        test_noise(muting, speech_evidence(token, count));
    if (!lost)
        lost = codec->bits ? useless_bits(token, count) : known && useless_symbols(token, count);
    double token_s = codec->frames / 100.0;
    *muting->lost_s = lost ? *muting->lost_s + token_s : 0.0;
    if (*muting->lost_s > 1e6)
        *muting->lost_s = 1e6;
}

void ae_fade(const ae_muting *muting, float *samples, size_t count)
{
    int32_t step = ae_muted(muting) ? 1 : -1, *faded = muting->faded;
    if (step < 0 && *faded == 0)
        return;
    if (step > 0 && *faded == MUTING_FADE) {
        memset(samples, 0, count * sizeof *samples);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        *faded += step;
        *faded = *faded < 0 ? 0 : *faded > MUTING_FADE ? MUTING_FADE : *faded;
        double cosine, sine;
        ae_turn(*faded, 2 * MUTING_FADE, &cosine, &sine);
        samples[i] = *faded < MUTING_FADE ? samples[i] * (float)(0.5 + 0.5 * cosine) : 0.0f;
    }
}
