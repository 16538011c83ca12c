#include "bottleneck.h"

#include "maths.h"

static const float ENERGY_FLOOR = 1e-9f, UNKNOWN_NOISE = 0.1f, LEAST_NOISE = 1e-6f;
static const float SNR_LEAST_DB = -10.0f, SNR_MOST_DB = 30.0f, TARGET_STEP_DB = 4.0f;
static const float REFERENCE_RATE = 600.0f; /* uses/s whose logarithm is the zero of the rate's input */
static const float LN_2 = 0.69314718f;
static const float HORIZON_FRAMES = 300.0f, HELD_LEAST = 0.562341325f, HELD_MOST = 1.77827941f; /* 3 s, +-2.5 dB */

int32_t ae_token_floats(const ae_codec *codec, int32_t rate)
{
    return ae_codec_elements(codec, rate) * (codec->bits ? 1 : 2);
}

/* Mean square of latent i for a target SNR: its logarithm is interpolated between those that were measured. */
static float power_at(const ae_codec *codec, const float *target_snr_db, int32_t i)
{
    if (!target_snr_db)
        return codec->power[i];
    float place = (*target_snr_db - SNR_LEAST_DB) / TARGET_STEP_DB;
    int32_t below = (int32_t)place, columns = 2 * codec->pairs;
    below = below > CODEC_TARGETS - 2 ? CODEC_TARGETS - 2 : below;
    float share = place - (float)below;
    const float *first = codec->target_power + below * columns + i, *second = first + columns;
    double power = ae_exp_double((double)(1.0f - share) * ae_log_double((double)*first) +
                                 (double)share * ae_log_double((double)*second));
    return (float)power;
}

static float within(float value, float least, float most)
{
    return value > least ? value < most ? value : most : least;
}

/* Held power: a slow gain that spends or saves what was sent too little or too much. */
static void hold(const ae_codec *codec, float *token, int32_t count, float *saved)
{
    float horizon = HORIZON_FRAMES / (float)codec->frames, least = horizon * (HELD_LEAST - 1.0f);
    float most = horizon * (HELD_MOST - 1.0f), before = within(*saved, least, most), energy = 0.0f;
    for (int32_t i = 0; i < count; i++)
        energy += token[i] * token[i];
    energy /= (float)(count / 2);
    float gain = 1.0f + before / horizon, root = sqrtf(gain);
    *saved = within(before + 1.0f - gain * energy, least, most);
    for (int32_t i = 0; i < count; i++)
        token[i] = token[i] * root;
}

void ae_send(const ae_codec *codec, int32_t rate, const float *target_snr_db, const float *latents, float *token,
             float *saved)
{
    int32_t count = ae_token_floats(codec, rate);
    float energy = 0.0f;
    if (codec->bits) {
        for (int32_t i = 0; i < count; i++)
            token[i] = latents[i] >= 0.0f ? 1.0f : -1.0f;
        return;
    }
    for (int32_t i = 0; i < count; i++)
        energy += codec->long_term ? power_at(codec, target_snr_db, i) : latents[i] * latents[i];
    float scale = sqrtf((float)(count / 2) / (energy + ENERGY_FLOOR));
    for (int32_t i = 0; i < count; i++)
        token[i] = latents[i] * scale;
    if (codec->holds)
        hold(codec, token, count, saved);
}

static float decibels(float ratio)
{
    return (float)(10.0 * ae_log10_double((double)ratio));
}

/* Conditions: SNR in tens of dB and that it is known, logarithm of the rate, erasure. */
static void set_conditions(float *conditions, int known, float snr_db, float uses, int lost)
{
    snr_db = snr_db < SNR_LEAST_DB ? SNR_LEAST_DB : snr_db > SNR_MOST_DB ? SNR_MOST_DB : snr_db;
    conditions[0] = known ? snr_db / 10.0f : 0.0f;
    conditions[1] = known ? 1.0f : 0.0f;
    conditions[2] = (float)ae_log_double((double)(uses / REFERENCE_RATE)) / LN_2;
    conditions[3] = lost ? 1.0f : 0.0f;
}

static void receive_symbols(const ae_codec *codec, int32_t count, const aether_received *token, float noise,
                            float *inputs)
{
    float energy = 0.0f;
    for (int32_t i = 0; codec->power && i < 2 * count; i++)
        energy += codec->power[i];
    for (int32_t i = 0; i < count && !token->lost; i++) {
        float re = token->values[2 * i], im = token->values[2 * i + 1];
        float h = token->gain[2 * i], g = token->gain[2 * i + 1], power = h * h + g * g;
        float divisor = power + noise + ENERGY_FLOOR, reliability = power / divisor;
        float first = (h * re + g * im) / divisor, second = (h * im - g * re) / divisor;
        if (codec->power) { /* posterior means, in units of each latent's own root mean square */
            for (int32_t part = 0; part < 2; part++) {
                float prior = codec->power[2 * i + part] * ((float)count / energy);
                float spread = prior * reliability + (1.0f - reliability) / 2.0f + ENERGY_FLOOR;
                float factor = sqrtf(prior) / spread;
                if (part)
                    second *= factor;
                else
                    first *= factor;
            }
        }
        inputs[3 * i] = ae_flushed(first);
        inputs[3 * i + 1] = ae_flushed(second);
        inputs[3 * i + 2] = ae_flushed(reliability);
    }
}

/* The SNR [dB] at which an MMSE estimate has the mean reliability of these bits. */
static float receive_bits(int32_t count, const aether_received *token, float *inputs)
{
    const float half = 0.70710678f, least_noise = 1e-3f, least_signal = 0.1f;
    float total = 0.0f;
    for (int32_t i = 0; i < count / 2 && !token->lost; i++) {
        float first = token->values[2 * i], second = token->values[2 * i + 1];
        float squares = first * first + second * second;
        inputs[3 * i] = ae_flushed(first * half);
        inputs[3 * i + 1] = ae_flushed(second * half);
        inputs[3 * i + 2] = ae_flushed(squares / 2.0f);
        total += squares;
    }
    float rho = total / (float)count, noise = 1.0f - rho;
    float ratio = rho / (noise > least_noise ? noise : least_noise);
    return decibels(ratio > least_signal ? ratio : least_signal);
}

void ae_receive(const ae_codec *codec, int32_t rate, const aether_received *token, float *inputs,
                float conditions[CODEC_CONDITIONS_OUT])
{
    int32_t count = ae_codec_elements(codec, rate);
    memset(inputs, 0, 3 * (size_t)codec->pairs * sizeof *inputs);
    if (codec->bits) {
        float snr_db = receive_bits(count, token, inputs);
        set_conditions(conditions, 1, snr_db, (float)rate / 2.0f, token->lost);
        return;
    }
    int known = token->noise_variance >= 0.0f;
    float noise = known ? token->noise_variance : UNKNOWN_NOISE;
    receive_symbols(codec, count, token, noise, inputs);
    set_conditions(conditions, known, -decibels(noise > LEAST_NOISE ? noise : LEAST_NOISE), (float)rate, token->lost);
}
