/* Speech to symbols, white noise on them, speech again: noisy WEIGHTS IN.wav OUT.wav SNR_DB */

#include "common.h"

#include <math.h>

/* About a Gaussian of variance 1: twelve uniform numbers of a linear congruence. */
static float drawn(void)
{
    static uint32_t seed = 1;
    float sum = -6.0f;
    for (int i = 0; i < 12; i++) {
        seed = seed * 1664525u + 1013904223u;
        sum += (float)(seed >> 8) / 16777216.0f;
    }
    return sum;
}

int main(int count, char **words)
{
    if (count != 5)
        fail("usage", "noisy WEIGHTS IN.wav OUT.wav SNR_DB");
    aether_info info;
    const aether_model *model = open_model(words[1], &info);
    if (info.bits)
        fail(words[1], "sends bits; this program adds noise to symbols");
    aether_encoder *encoder = new_encoder(model);
    aether_decoder *decoder = new_decoder(model);
    size_t left, made, floats = aether_token_floats(model, info.default_rate);
    const float *speech = read_wav(words[2], &left);
    FILE *file = open_wav(words[3]);
    float variance = powf(10.0f, -strtof(words[4], NULL) / 10.0f), deviation = sqrtf(variance / 2.0f);
    float *token = memory_of(floats * sizeof *token), *samples = room_for_samples(&info);
    const aether_received received = {token, NULL, variance, 0};
    while (next_token(encoder, &speech, &left, token)) {
        for (size_t i = 0; i < floats; i++)
            token[i] += deviation * drawn();
        check(aether_decoder_push(decoder, &received, samples, &made, NULL, NULL), "decoder");
        write_samples(file, samples, made);
    }
    check(aether_decoder_flush(decoder, samples, &made, NULL, NULL), "decoder");
    write_samples(file, samples, made);
    close_wav(file, words[3]);
    return 0;
}
