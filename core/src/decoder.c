/* The decoder as a stream: received tokens to samples. */

#include "bottleneck.h"
#include "maths.h"
#include "muting.h"
#include "reception.h"
#include "state.h"
#include "voice.h"

/* Whole numbers behind those of the voice; RATE is a place in codec->rates. */
enum { RATE = VOICE_WHOLE, BEGUN, NOISE_ONLY, FADED, MUTE, WHOLE };
enum { PHASE, LOST_S, EVIDENCE, DOUBLES };

struct aether_decoder {
    const aether_model *model;
    ae_state state;
    int32_t limits[WHOLE][2];
    float *network, *levels; /* parts of the state */
    ae_voice voice;
    ae_muting muting;
    ae_codec_work work;
    ae_door_work door;
    float *inputs, *features;
};

static aether_decoder *lay_out(aether_decoder *given, ae_arena *arena, const aether_model *model)
{
    const ae_codec *codec = &model->codec;
    aether_decoder *made = ae_take(arena, sizeof *made), *decoder = made ? made : given;
    size_t floats = ae_decoder_floats(codec) + ae_voice_floats(model) + ae_levels(codec);
    decoder->model = model;
    decoder->state = (ae_state){AE_DECODER, model->id, WHOLE, decoder->limits, DOUBLES, floats, NULL};
    ae_state_take(&decoder->state, arena);
    ae_voice_take(&decoder->voice, model, arena);
    decoder->work = ae_codec_take_work(codec, arena);
    decoder->door = ae_take_door_work(codec, arena);
    decoder->inputs = ae_take_floats(arena, 3 * (size_t)codec->pairs);
    decoder->features = ae_take_floats(arena, (size_t)(codec->frames * AETHER_FEATURES));
    return decoder;
}

size_t aether_decoder_size(const aether_model *model)
{
    aether_decoder counted_only;
    ae_arena counted = {NULL, 0};
    if (!model || !model->has_codec)
        return 0;
    lay_out(&counted_only, &counted, model);
    return counted.used;
}

static int32_t *whole_of(const aether_decoder *decoder)
{
    return ae_state_whole(&decoder->state);
}

/* Forget everything but the rate, and whether to mute. */
static void begin(aether_decoder *decoder)
{
    int32_t rate = whole_of(decoder)[RATE], mute = whole_of(decoder)[MUTE];
    ae_state_clear(&decoder->state);
    whole_of(decoder)[RATE] = rate;
    whole_of(decoder)[MUTE] = mute;
}

int aether_decoder_init(void *memory, size_t bytes, const aether_model *model, int mute, aether_decoder **decoder)
{
    if (!model || !decoder || (mute != 0 && mute != 1))
        return AETHER_ERROR_ARGUMENT;
    if (!model->has_codec)
        return AETHER_ERROR_MISSING;
    int error = ae_check_memory(memory, bytes, aether_decoder_size(model));
    if (error)
        return error;
    const ae_codec *codec = &model->codec;
    ae_arena arena = {memory, 0};
    aether_decoder *made = lay_out(NULL, &arena, model);
    const int32_t own[][2] = {{0, codec->rate_count - 1}, {0, 1}, {0, 1}, {0, MUTING_FADE}, {0, 1}};
    memcpy(made->limits + VOICE_WHOLE, own, sizeof own);
    ae_state_clear(&made->state);
    int32_t *whole = whole_of(made);
    double *doubles = ae_state_doubles(&made->state);
    made->network = ae_state_floats(&made->state);
    made->levels = made->network + ae_decoder_floats(codec);
    ae_voice_place(&made->voice, made->levels + ae_levels(codec), &doubles[PHASE], whole, made->limits);
    made->muting = (ae_muting){&doubles[LOST_S], &doubles[EVIDENCE], &whole[NOISE_ONLY], &whole[FADED]};
    whole[MUTE] = mute;
    *decoder = made;
    return aether_decoder_set_rate(made, codec->default_rate);
}

int aether_decoder_set_rate(aether_decoder *decoder, int rate)
{
    if (!decoder || !ae_codec_elements(&decoder->model->codec, rate))
        return AETHER_ERROR_ARGUMENT;
    int32_t place = 0;
    while (decoder->model->codec.rates[place] != rate)
        place++;
    whole_of(decoder)[RATE] = place;
    return AETHER_OK;
}

/* The features of an accepted token in decoder->features; how many rows they are. */
static size_t decode(aether_decoder *decoder, const aether_received *token)
{
    const ae_codec *codec = &decoder->model->codec;
    int32_t *begun = &whole_of(decoder)[BEGUN];
    float conditions[CODEC_CONDITIONS_OUT];
    ae_receive(codec, codec->rates[whole_of(decoder)[RATE]], token, decoder->inputs, conditions);
    ae_codec_decode(codec, decoder->model->kernels, &decoder->work, decoder->network, decoder->inputs, conditions,
                    decoder->features);
    size_t rows = codec->lookahead && !*begun ? 0 : (size_t)codec->frames;
    *begun = 1;
    return rows;
}

/* Hand out rows, and samples of them. */
static void hand_out(aether_decoder *decoder, size_t made, float *samples, size_t *count, float *features, size_t *rows)
{
    if (features)
        memcpy(features, decoder->features, made * AETHER_FEATURES * sizeof *features);
    if (rows)
        *rows = made;
    if (!samples || decoder->model->vocoder == AE_NO_VOCODER)
        return;
    *count += ae_voice_push(&decoder->voice, decoder->features, made, samples + *count);
    if (made)
        ae_fade(&decoder->muting, samples, *count);
}

int aether_decoder_push(aether_decoder *decoder, const aether_received *token, float *samples, size_t *count,
                        float *features, size_t *rows)
{
    if (!decoder || !token || (!token->lost && !token->values) || (samples && !count) || (features && !rows))
        return AETHER_ERROR_ARGUMENT;
    const ae_codec *codec = &decoder->model->codec;
    int32_t rate = codec->rates[whole_of(decoder)[RATE]];
    const aether_received accepted = ae_accept(codec, &decoder->door, rate, token, decoder->levels);
    if (count)
        *count = 0;
    size_t made = decode(decoder, &accepted);
    if (whole_of(decoder)[MUTE])
        ae_judge(&decoder->muting, codec, rate, &accepted);
    hand_out(decoder, made, samples, count, features, rows);
    return AETHER_OK;
}

int aether_decoder_flush(aether_decoder *decoder, float *samples, size_t *count, float *features, size_t *rows)
{
    if (!decoder || (samples && !count) || (features && !rows))
        return AETHER_ERROR_ARGUMENT;
    const aether_received lost = {NULL, NULL, NAN, 1};
    if (count)
        *count = 0;
    if (rows)
        *rows = 0;
    if (decoder->model->codec.lookahead && whole_of(decoder)[BEGUN])
        hand_out(decoder, decode(decoder, &lost), samples, count, features, rows);
    if (samples && decoder->model->vocoder != AE_NO_VOCODER) {
        size_t last = ae_voice_end(&decoder->voice, samples + *count);
        ae_fade(&decoder->muting, samples + *count, last);
        *count += last;
    }
    begin(decoder);
    return AETHER_OK;
}

int aether_decoder_muted(const aether_decoder *decoder)
{
    return decoder && ae_muted(&decoder->muting);
}

size_t aether_decoder_state_size(const aether_decoder *decoder)
{
    return decoder ? ae_saved_bytes(&decoder->state) : 0;
}

int aether_decoder_save(const aether_decoder *decoder, void *state, size_t bytes)
{
    return decoder ? ae_save(&decoder->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}

int aether_decoder_load(aether_decoder *decoder, const void *state, size_t bytes)
{
    return decoder ? ae_load(&decoder->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}
