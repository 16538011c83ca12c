/* A decoder in a pipe: pipe WEIGHTS [RATE [NOISE_VARIANCE]] reads tokens from standard input, float32 I and Q of each
 * symbol or one soft bit each, and writes speech as it comes, 16-bit samples at 16 kHz. A token with a NaN is lost. */

#include "common.h"

#include <math.h>
#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#endif

int main(int count, char **words)
{
    if (count < 2 || count > 4)
        fail("usage", "pipe WEIGHTS [RATE [NOISE_VARIANCE]]");
#if defined(_WIN32)
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    aether_info info;
    const aether_model *model = open_model(words[1], &info);
    aether_decoder *decoder = new_decoder(model);
    int rate = count > 2 ? atoi(words[2]) : info.default_rate;
    check(aether_decoder_set_rate(decoder, rate), "RATE");
    size_t made, floats = aether_token_floats(model, rate);
    float *token = memory_of(floats * sizeof *token), *samples = room_for_samples(&info);
    const aether_received received = {token, NULL, count > 3 ? strtof(words[3], NULL) : NAN, 0};
    while (fread(token, sizeof *token, floats, stdin) == floats) {
        check(aether_decoder_push(decoder, &received, samples, &made, NULL, NULL), "decoder");
        write_samples(stdout, samples, made);
        fflush(stdout);
    }
    check(aether_decoder_flush(decoder, samples, &made, NULL, NULL), "decoder");
    write_samples(stdout, samples, made);
    return 0;
}
