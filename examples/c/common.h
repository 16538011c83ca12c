/* What the examples share: a model from a file, streams on the heap, WAV files of 16 bits, mono, 16 kHz. */
#ifndef COMMON_H
#define COMMON_H

#include <aether.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAV_HEAD = 44 };

/* End with a line on standard error where a call failed. */
static inline void check(int code, const char *what)
{
    if (code) {
        fprintf(stderr, "%s: %s\n", what, aether_error_text(code));
        exit(1);
    }
}

static inline void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* Memory on a multiple of 64 bytes; never given back, as it lives as long as the program. */
static inline void *memory_of(size_t bytes)
{
    uint8_t *memory = malloc(bytes + AETHER_ALIGNMENT);
    if (!memory)
        fail("memory", "there is not enough");
    return memory + (AETHER_ALIGNMENT - (uintptr_t)memory % AETHER_ALIGNMENT);
}

/* All of a file. */
static inline void *read_file(const char *name, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        fail(name, "cannot be read");
    long size = ftell(file);
    void *data = memory_of((size_t)size);
    rewind(file);
    *bytes = fread(data, 1, (size_t)size, file);
    fclose(file);
    return data;
}

static inline aether_model *open_model(const char *name, aether_info *info)
{
    size_t file_bytes, bytes;
    void *file = read_file(name, &file_bytes);
    aether_model *model;
    check(aether_model_size(file, file_bytes, NULL, &bytes), name);
    check(aether_model_init(memory_of(bytes), bytes, file, file_bytes, NULL, &model), name);
    check(aether_model_info(model, info), name);
    if (!info->has_codec || !info->has_vocoder)
        fail(name, "has no codec or no vocoder; export --native writes both");
    return model;
}

static inline aether_encoder *new_encoder(const aether_model *model)
{
    aether_encoder *encoder;
    size_t bytes = aether_encoder_size(model);
    check(aether_encoder_init(memory_of(bytes), bytes, model, 1, &encoder), "encoder");
    return encoder;
}

static inline aether_decoder *new_decoder(const aether_model *model)
{
    aether_decoder *decoder;
    size_t bytes = aether_decoder_size(model);
    check(aether_decoder_init(memory_of(bytes), bytes, model, 1, &decoder), "decoder");
    return decoder;
}

/* The next token of speech, then of the end of its stream; 0 when there is none. */
static inline int next_token(aether_encoder *encoder, const float **speech, size_t *left, float *token)
{
    int ready = 0;
    while (*left && !ready) {
        size_t used;
        check(aether_encoder_push(encoder, *speech, *left, &used, token, &ready), "encoder");
        *speech += used;
        *left -= used;
    }
    if (!ready)
        check(aether_encoder_flush(encoder, token, &ready), "encoder");
    return ready;
}

/* Room for the samples of a push or a flush. */
static inline float *room_for_samples(const aether_info *info)
{
    return memory_of((size_t)(AETHER_FRAME * info->token_frames + info->vocoder_delay) * sizeof(float));
}

/* Samples of a WAV file whose data begin at byte 44, full scale 1. */
static inline float *read_wav(const char *name, size_t *count)
{
    size_t bytes;
    const uint8_t *data = read_file(name, &bytes);
    static const uint8_t FORMAT[] = {1, 0, 1, 0, 0x80, 0x3e, 0, 0}; /* PCM, mono, 16000 Hz */
    if (bytes < WAV_HEAD || memcmp(data, "RIFF", 4) || memcmp(data + 20, FORMAT, sizeof FORMAT) || data[34] != 16)
        fail(name, "not a WAV file of 16 bits, mono, 16 kHz");
    *count = (bytes - WAV_HEAD) / 2;
    float *samples = memory_of(*count * sizeof *samples);
    for (size_t i = 0; i < *count; i++) {
        int value = data[WAV_HEAD + 2 * i] | data[WAV_HEAD + 2 * i + 1] << 8;
        samples[i] = (float)(value - (value & 0x8000) * 2) / 32768.0f;
    }
    return samples;
}

static inline void put_number(uint8_t *place, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        place[i] = (uint8_t)(number >> 8 * i);
}

/* Samples as 16-bit numbers, little-endian. */
static inline void write_samples(FILE *file, const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int value = (int)(samples[i] * 32767.0f + (samples[i] < 0.0f ? -0.5f : 0.5f));
        fputc(value & 0xff, file);
        fputc(value >> 8 & 0xff, file);
    }
}

/* A WAV file whose samples are written next; close_wav fills in their number. */
static inline FILE *open_wav(const char *name)
{
    uint8_t head[WAV_HEAD] = "RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data";
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(head, 1, sizeof head, file) != sizeof head)
        fail(name, "cannot be written");
    return file;
}

static inline void close_wav(FILE *file, const char *name)
{
    uint8_t number[4];
    uint32_t bytes = (uint32_t)(ftell(file) - WAV_HEAD);
    put_number(number, bytes + WAV_HEAD - 8);
    fseek(file, 4, SEEK_SET);
    fwrite(number, 1, 4, file);
    put_number(number, bytes);
    fseek(file, WAV_HEAD - 4, SEEK_SET);
    fwrite(number, 1, 4, file);
    if (fclose(file))
        fail(name, "cannot be written");
}

#endif
