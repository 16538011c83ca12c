/* Changes a file of native weights and states of streams at random, with checksums that fit, and runs what is accepted
 * on hostile input: fuzz FILE SEED RUNS. Built with sanitizers; an error code is no fault, anything else is. */

#include "../../core/src/kernels.h"
#include "../../core/src/sha256.h"
#include "aether.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;

static uint32_t drawn(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static void *memory_of(size_t bytes)
{
    void *memory = aligned_alloc(AETHER_ALIGNMENT, (bytes + AETHER_ALIGNMENT) / AETHER_ALIGNMENT * AETHER_ALIGNMENT);
    if (!memory)
        exit(2);
    return memory;
}

static void change(uint8_t *bytes, size_t from, size_t to)
{
    static const uint8_t LIKELY[] = {0, 1, 2, 3, 8, 127, 128, 255};
    for (uint32_t i = 1 + drawn(4); i > 0; i--) {
        uint8_t *place = bytes + from + drawn((uint32_t)(to - from));
        *place = drawn(2) ? LIKELY[drawn(sizeof LIKELY)] : (uint8_t)(*place ^ 1u << drawn(8));
    }
}

static void seal(uint8_t *bytes, size_t size)
{
    ae_sha256(bytes, 32, bytes + 64, size - 64, bytes + 32);
}

static float value(void)
{
    static const float LIKELY[] = {0.0f, 1.0f, -1.0f, 1e-42f, 1e30f, 1e6f, INFINITY, NAN};
    return drawn(20) ? (float)drawn(2000) / 1000.0f - 1.0f : LIKELY[drawn(8)];
}

static void fill(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = value();
}

static void expect(int good)
{
    if (!good)
        abort();
}

static void run_encoder(const aether_model *model)
{
    aether_encoder *encoder;
    size_t bytes = aether_encoder_size(model), used, room = 0;
    if (!bytes)
        return;
    void *memory = memory_of(bytes);
    expect(aether_encoder_init(memory, bytes, model, (int)drawn(2), &encoder) == AETHER_OK);
    aether_info info;
    expect(aether_model_info(model, &info) == AETHER_OK);
    for (int i = 0; i < 16; i++)
        room = aether_token_floats(model, info.rates[i]) > room ? aether_token_floats(model, info.rates[i]) : room;
    float samples[2000], snr_db = value() * 30.0f, *token = memory_of(room * sizeof *token);
    size_t saved = aether_encoder_state_size(encoder);
    uint8_t *state = memory_of(saved);
    int ready;
    aether_encoder_set_rate(encoder, info.rates[drawn(16)]);
    aether_encoder_set_target(encoder, &snr_db);
    for (int i = 0; i < 4; i++) {
        fill(samples, 2000);
        if (drawn(2))
            for (int k = 0; k < 2000; k++)
                samples[k] = isfinite(samples[k]) && fabsf(samples[k]) < 100.0f ? samples[k] : 0.0f;
        int error = aether_encoder_push(encoder, samples, drawn(2000), &used, token, &ready);
        expect(error == AETHER_OK || error == AETHER_ERROR_VALUE);
        expect(aether_encoder_save(encoder, state, saved) == AETHER_OK);
        change(state, 64, 96);
        change(state, 0, saved);
        seal(state, saved);
        aether_encoder_load(encoder, state, saved);
    }
    for (ready = 1; ready;)
        expect(aether_encoder_flush(encoder, token, &ready) == AETHER_OK);
    free(state);
    free(token);
    free(memory);
}

static void run_decoder(const aether_model *model)
{
    aether_decoder *decoder;
    aether_info info;
    size_t bytes = aether_decoder_size(model), count, rows;
    if (!bytes)
        return;
    void *memory = memory_of(bytes);
    expect(aether_model_info(model, &info) == AETHER_OK);
    expect(aether_decoder_init(memory, bytes, model, (int)drawn(2), &decoder) == AETHER_OK);
    size_t saved = aether_decoder_state_size(decoder), frames = (size_t)info.token_frames;
    uint8_t *state = memory_of(saved);
    float *samples = memory_of((160 * frames + (size_t)info.vocoder_delay) * sizeof *samples);
    float *features = memory_of(20 * frames * sizeof *features);
    for (int i = 0; i < 6; i++) {
        int rate = info.rates[drawn(16)];
        if (aether_decoder_set_rate(decoder, rate))
            continue;
        size_t floats = aether_token_floats(model, rate);
        float *values = memory_of(floats * sizeof *values), *gain = memory_of(floats * sizeof *gain);
        fill(values, floats);
        fill(gain, floats);
        aether_received token = {values, drawn(2) ? gain : NULL, value(), drawn(4) == 0};
        int error = aether_decoder_push(decoder, &token, drawn(8) ? samples : NULL, &count, features, &rows);
        expect(error == AETHER_OK || error == AETHER_ERROR_VALUE);
        expect(aether_decoder_save(decoder, state, saved) == AETHER_OK);
        change(state, 64, 96);
        change(state, 0, saved);
        seal(state, saved);
        aether_decoder_load(decoder, state, saved);
        free(values);
        free(gain);
    }
    expect(aether_decoder_flush(decoder, samples, &count, features, &rows) == AETHER_OK);
    free(features);
    free(samples);
    free(state);
    free(memory);
}

/* One changed file; whether it was accepted. */
static int run(const uint8_t *whole, size_t size)
{
    static const char *const KERNELS[] = {NULL, "scalar", "sse2", "avx2", "neon"};
    uint8_t *file = memory_of(size);
    memcpy(file, whole, size);
    uint32_t sections;
    memcpy(&sections, whole + 12, sizeof sections);
    size_t table = 64 + 64 * (size_t)sections, bytes;
    switch (drawn(4)) {
    case 0: change(file, 8, table); break;            /* head and table */
    case 1: change(file, table, table + 128); break;  /* the first sections: sizes of a codec */
    case 2: change(file, table, size); break;         /* any values */
    default: break;
    }
    seal(file, size);
    const char *kernels = KERNELS[drawn(5)];
    int error = aether_model_size(file, size, kernels, &bytes);
    if (!error) {
        void *memory = memory_of(bytes);
        aether_model *model;
        error = aether_model_init(memory, bytes, file, size, kernels, &model);
        if (!error) {
            run_encoder(model);
            run_decoder(model);
        }
        free(memory);
    }
    free(file);
    return !error;
}

int main(int count, char **words)
{
    if (count != 4)
        return 2;
    FILE *file = fopen(words[1], "rb");
    if (!file)
        return 2;
    uint8_t *whole = memory_of(1 << 22);
    size_t size = fread(whole, 1, 1 << 22, file);
    fclose(file);
    seed = strtoull(words[2], NULL, 10);
    long runs = strtol(words[3], NULL, 10), accepted = 0;
    for (long i = 0; i < runs; i++)
        accepted += run(whole, size);
    printf("%ld of %ld accepted\n", accepted, runs);
    free(whole);
    return 0;
}
