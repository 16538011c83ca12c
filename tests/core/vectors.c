/* All that the library computes, for comparison between machines: vectors WEIGHTS SPEECH OUT KERNELS writes the float32
 * values that streams give for speech (float32, 16 kHz), in every way that a stream can go. */

#include "aether.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *out;

static void *memory_of(size_t bytes)
{
    uint8_t *memory = calloc(1, bytes + 2 * AETHER_ALIGNMENT);
    if (!memory)
        exit(2);
    return memory + (AETHER_ALIGNMENT - (uintptr_t)memory % AETHER_ALIGNMENT);
}

static void check(int code, const char *what)
{
    if (code) {
        fprintf(stderr, "%s: %s\n", what, aether_error_text(code));
        exit(1);
    }
}

static void *read_file(const char *name, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(name);
        exit(1);
    }
    long size = ftell(file);
    uint8_t *data = memory_of((size_t)size);
    rewind(file);
    *bytes = fread(data, 1, (size_t)size, file);
    fclose(file);
    return data;
}

static void put(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            exit(3);
    fwrite(values, sizeof *values, count, out);
}

static void put_features(const aether_model *model, const float *speech, size_t count)
{
    aether_features *features;
    size_t bytes = aether_features_size(model), used;
    float row[AETHER_FEATURE_ROW];
    int ready;
    check(aether_features_init(memory_of(bytes), bytes, model, 0, &features), "features");
    for (size_t done = 0; done < count; done += used) {
        check(aether_features_push(features, speech + done, count - done, &used, row, &ready), "features");
        put(row, ready ? AETHER_FEATURE_ROW : 0);
    }
    check(aether_features_flush(features, row, &ready), "features");
    put(row, ready ? AETHER_FEATURE_ROW : 0);
}

/* What a channel makes of token k: noise of a linear congruence, gains, units, losses, garbage. */
static aether_received received(float *values, float *gain, size_t count, int bits, int k)
{
    static uint32_t seed = 1;
    float unit = bits ? 1.0f : k < 8 ? 1.0f : 1024.0f;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        float noise = (float)((int32_t)seed >> 16) / 65536.0f;
        gain[i] = unit * (1.0f + 0.5f * noise);
        values[i] = bits ? values[i] * fabsf(noise) * 2.0f : unit * (values[i] + 0.5f * noise);
    }
    if (k % 11 == 5)
        values[count / 2] = NAN;
    aether_received token = {values, k % 4 == 1 ? gain : NULL, k % 3 ? unit * unit * 0.125f : NAN, k % 7 == 3};
    return token;
}

static void put_streams(const aether_model *model, const aether_info *info, const float *speech, size_t count)
{
    aether_encoder *encoder;
    aether_decoder *decoder;
    size_t bytes = aether_encoder_size(model), used, made, rows, most = 0;
    check(aether_encoder_init(memory_of(bytes), bytes, model, 1, &encoder), "encoder");
    bytes = aether_decoder_size(model);
    check(aether_decoder_init(memory_of(bytes), bytes, model, 1, &decoder), "decoder");
    for (int i = 0; i < 16; i++)
        most = aether_token_floats(model, info->rates[i]) > most ? aether_token_floats(model, info->rates[i]) : most;
    float *token = memory_of(most * sizeof *token), *gain = memory_of(most * sizeof *gain);
    size_t frames = (size_t)info->token_frames;
    float *samples = memory_of((AETHER_FRAME * frames + (size_t)info->vocoder_delay) * sizeof *samples);
    float *features = memory_of(AETHER_FEATURES * frames * sizeof *features);
    for (int k = 0, ready = 1; ready;) {
        int rate = info->rates[k % 16] ? info->rates[k % 16] : info->default_rate;
        const float target_db = (float)k - 7.0f;
        check(aether_encoder_set_rate(encoder, rate), "rate");
        check(aether_decoder_set_rate(decoder, rate), "rate");
        if (info->has_target_powers)
            check(aether_encoder_set_target(encoder, k % 2 ? &target_db : NULL), "target");
        if (count) {
            check(aether_encoder_push(encoder, speech, count, &used, token, &ready), "encoder");
            speech += used;
            count -= used;
            ready = ready ? ready : 2; /* go on with the end of the stream */
        } else {
            check(aether_encoder_flush(encoder, token, &ready), "encoder");
        }
        if (ready != 1)
            continue;
        put(token, aether_token_floats(model, rate));
        aether_received given = received(token, gain, aether_token_floats(model, rate), info->bits, k++);
        check(aether_decoder_push(decoder, &given, samples, &made, features, &rows), "decoder");
        put(samples, made);
        put(features, rows * AETHER_FEATURES);
    }
    check(aether_decoder_flush(decoder, samples, &made, features, &rows), "decoder");
    put(samples, made);
    put(features, rows * AETHER_FEATURES);
}

int main(int count, char **words)
{
    if (count != 5)
        return 2;
    size_t file_bytes, bytes, speech_bytes;
    void *file = read_file(words[1], &file_bytes);
    const float *speech = read_file(words[2], &speech_bytes);
    aether_model *model;
    aether_info info;
    check(aether_model_size(file, file_bytes, words[4], &bytes), words[1]);
    check(aether_model_init(memory_of(bytes), bytes, file, file_bytes, words[4], &model), words[1]);
    check(aether_model_info(model, &info), "info");
    out = fopen(words[3], "wb");
    if (!out)
        return 2;
    put_features(model, speech, speech_bytes / sizeof *speech);
    put_streams(model, &info, speech, speech_bytes / sizeof *speech);
    return fclose(out) ? 2 : 0;
}
