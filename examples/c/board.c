/* For boards without files: the codec from weights that are part of the program (core/embed.py makes weights.c), and
 * how much memory and stack its streams take. Prints one line a number; the stack is measured while a token passes. */

#include <aether.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern const unsigned char aether_weights[];
extern const size_t aether_weights_bytes;

enum { STACK = 1 << 17, MARK = 0xA5, ROOM = 1 << 19, MOST_FLOATS = 512 };

static _Alignas(AETHER_ALIGNMENT) unsigned char memory[3][ROOM]; /* of model, encoder and decoder */
static aether_model *model;
static aether_encoder *encoder;
static aether_decoder *decoder;
static float token[MOST_FLOATS], samples[8 * AETHER_FRAME + 3 * AETHER_FRAME];

#if defined(__GNUC__)
#define APART __attribute__((noinline))
#else
#define APART
#endif

/* Mark the stack below the caller, or count how much of it is no longer as marked. */
APART static size_t stack_below(int count)
{
    volatile unsigned char below[STACK];
    size_t kept = 0;
    for (size_t i = 0; i < STACK && !count; i++)
        below[i] = MARK;
    while (count && kept < STACK && below[kept] == MARK)
        kept++;
    return count ? STACK - kept : below[STACK / 2];
}

/* The model, for the first time; main asks whether it can be made. */
APART static void load(void)
{
    aether_model_init(memory[0], ROOM, aether_weights, aether_weights_bytes, NULL, &model);
}

APART static void encode(void)
{
    static const float SPEECH[9 * AETHER_FRAME];
    size_t used;
    int ready;
    aether_encoder_push(encoder, SPEECH, 9 * AETHER_FRAME, &used, token, &ready);
}

APART static void decode(void)
{
    const aether_received received = {token, NULL, NAN, 0};
    size_t made;
    for (int i = 0; i < 3; i++)
        aether_decoder_push(decoder, &received, samples, &made, NULL, NULL);
}

APART static size_t stack_of(void (*work)(void))
{
    stack_below(0);
    work();
    return stack_below(1);
}

int main(void)
{
    size_t bytes, loading = stack_of(load);
    int error = aether_model_size(aether_weights, aether_weights_bytes, NULL, &bytes);
    if (!error)
        error = aether_model_init(memory[0], ROOM, aether_weights, aether_weights_bytes, NULL, &model);
    if (!error)
        error = aether_encoder_init(memory[1], ROOM, model, 1, &encoder);
    if (!error)
        error = aether_decoder_init(memory[2], ROOM, model, 1, &decoder);
    if (error) {
        fprintf(stderr, "board: %s\n", aether_error_text(error));
        return 1;
    }
    printf("weights %zu\nmodel %zu\n", aether_weights_bytes, bytes);
    printf("encoder %zu\ndecoder %zu\n", aether_encoder_size(model), aether_decoder_size(model));
    printf("encoder_state %zu\n", aether_encoder_state_size(encoder));
    printf("decoder_state %zu\n", aether_decoder_state_size(decoder));
    printf("model_stack %zu\n", loading);
    printf("encoder_stack %zu\n", stack_of(encode));
    printf("decoder_stack %zu\n", stack_of(decode));
    return 0;
}
