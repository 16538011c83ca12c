/* The encoder as a stream: samples to tokens. */

#include "bottleneck.h"
#include "maths.h"
#include "model.h"
#include "state.h"

enum { ROWS = FRONT_WHOLE, RATE, TARGETED, CONDITION, WHOLE }; /* whole numbers; RATE is a place in codec->rates */

struct aether_encoder {
    const aether_model *model;
    ae_state state;
    int32_t limits[WHOLE][2];
    ae_front front;
    float *network, *rows, *saved, *target; /* parts of the state */
    ae_codec_work work;
    float *latents;
};

static aether_encoder *lay_out(aether_encoder *given, ae_arena *arena, const aether_model *model)
{
    const ae_codec *codec = &model->codec;
    aether_encoder *made = ae_take(arena, sizeof *made), *encoder = made ? made : given;
    size_t floats = ae_encoder_floats(codec) + (size_t)(codec->frames * AETHER_FEATURES) + 2;
    size_t doubles = sizeof(ae_front_state) / sizeof(double);
    encoder->model = model;
    encoder->state = (ae_state){AE_ENCODER, model->id, WHOLE, encoder->limits, doubles, floats, NULL};
    ae_state_take(&encoder->state, arena);
    encoder->work = ae_codec_take_work(codec, arena);
    encoder->latents = ae_take_floats(arena, ae_padded(2 * (size_t)codec->pairs));
    return encoder;
}

size_t aether_encoder_size(const aether_model *model)
{
    aether_encoder counted_only;
    ae_arena counted = {NULL, 0};
    if (!model || !model->has_codec)
        return 0;
    lay_out(&counted_only, &counted, model);
    return counted.used;
}

/* The place of a rate among those of a codec. */
static int32_t place_of(const ae_codec *codec, int32_t rate)
{
    int32_t place = 0;
    while (codec->rates[place] != rate)
        place++;
    return place;
}

static void begin(aether_encoder *encoder)
{
    int32_t *whole = ae_state_whole(&encoder->state);
    ae_front_begin(&encoder->front, whole[CONDITION]);
    memset(encoder->network, 0, ae_encoder_floats(&encoder->model->codec) * sizeof(float));
    memset(encoder->rows, 0, (size_t)(encoder->model->codec.frames * AETHER_FEATURES) * sizeof(float));
    whole[ROWS] = 0;
    *encoder->saved = 0.0f;
}

int aether_encoder_init(void *memory, size_t bytes, const aether_model *model, int condition, aether_encoder **encoder)
{
    if (!model || !encoder || (condition != 0 && condition != 1))
        return AETHER_ERROR_ARGUMENT;
    if (!model->has_codec)
        return AETHER_ERROR_MISSING;
    int error = ae_check_memory(memory, bytes, aether_encoder_size(model));
    if (error)
        return error;
    const ae_codec *codec = &model->codec;
    ae_arena arena = {memory, 0};
    aether_encoder *made = lay_out(NULL, &arena, model);
    const int32_t own[][2] = {{0, codec->frames - 1}, {0, codec->rate_count - 1}, {0, 1}, {0, 1}};
    memcpy(made->limits, AE_FRONT_LIMITS, FRONT_WHOLE * sizeof *made->limits);
    memcpy(made->limits + FRONT_WHOLE, own, sizeof own);
    ae_state_clear(&made->state);
    int32_t *whole = ae_state_whole(&made->state);
    made->front = (ae_front){model->front, model->kernels, whole,
                             (ae_front_state *)(void *)ae_state_doubles(&made->state)};
    made->network = ae_state_floats(&made->state);
    made->rows = made->network + ae_encoder_floats(codec);
    made->saved = made->rows + codec->frames * AETHER_FEATURES;
    made->target = made->saved + 1;
    whole[RATE] = place_of(codec, codec->default_rate);
    whole[CONDITION] = condition;
    begin(made);
    *encoder = made;
    return AETHER_OK;
}

int aether_encoder_set_rate(aether_encoder *encoder, int rate)
{
    if (!encoder || !ae_codec_elements(&encoder->model->codec, rate))
        return AETHER_ERROR_ARGUMENT;
    ae_state_whole(&encoder->state)[RATE] = place_of(&encoder->model->codec, rate);
    return AETHER_OK;
}

int aether_encoder_set_target(aether_encoder *encoder, const float *snr_db)
{
    if (!encoder || (snr_db && !(fabsf(*snr_db) <= 1000.0f)))
        return AETHER_ERROR_ARGUMENT;
    const ae_codec *codec = &encoder->model->codec;
    if (snr_db && (codec->bits || (codec->long_term && !codec->target_power)))
        return AETHER_ERROR_MISSING;
    ae_state_whole(&encoder->state)[TARGETED] = snr_db != NULL;
    *encoder->target = snr_db ? *snr_db : 0.0f;
    return AETHER_OK;
}

/* The token of features [frames, 20]. */
static void encode(aether_encoder *encoder, const float *features, float *token)
{
    const ae_codec *codec = &encoder->model->codec;
    const int32_t *whole = ae_state_whole(&encoder->state);
    float target = *encoder->target;
    target = target < -10.0f ? -10.0f : target > 30.0f ? 30.0f : target;
    const float *known = whole[TARGETED] && !codec->bits && (codec->target_power || !codec->long_term) ? &target : NULL;
    ae_codec_encode(codec, encoder->model->kernels, &encoder->work, encoder->network, features, known, encoder->latents);
    ae_send(codec, codec->rates[whole[RATE]], known, encoder->latents, token, encoder->saved);
}

/* Take a row of 36; whether it completes a token. */
static int take_row(aether_encoder *encoder, const float *row, float *token)
{
    int32_t *rows = ae_state_whole(&encoder->state) + ROWS;
    memcpy(encoder->rows + *rows * AETHER_FEATURES, row, AETHER_FEATURES * sizeof *row);
    *rows = (*rows + 1) % encoder->model->codec.frames;
    if (*rows)
        return 0;
    encode(encoder, encoder->rows, token);
    return 1;
}

int aether_encoder_push(aether_encoder *encoder, const float *samples, size_t count, size_t *used, float *token,
                        int *ready)
{
    if (!encoder || (!samples && count) || !used || !token || !ready)
        return AETHER_ERROR_ARGUMENT;
    const size_t most = (size_t)AETHER_FRAME * (size_t)(encoder->model->codec.frames + 1);
    count = count < most ? count : most; /* that a token can take */
    int error = ae_check_samples(samples, count);
    if (error)
        return error;
    float row[FRONT_ROW];
    int row_ready;
    *ready = 0;
    for (*used = 0; *used < count && !*ready;) {
        *used += ae_front_push(&encoder->front, samples + *used, count - *used, row, &row_ready);
        if (row_ready)
            *ready = take_row(encoder, row, token);
    }
    return AETHER_OK;
}

int aether_encoder_push_features(aether_encoder *encoder, const float *features, float *token)
{
    if (!encoder || !features || !token)
        return AETHER_ERROR_ARGUMENT;
    for (int32_t i = 0; i < encoder->model->codec.frames * AETHER_FEATURES; i++)
        if (!(fabsf(features[i]) <= 1000.0f))
            return AETHER_ERROR_VALUE;
    encode(encoder, features, token);
    return AETHER_OK;
}

int aether_encoder_flush(aether_encoder *encoder, float *token, int *ready)
{
    if (!encoder || !token || !ready)
        return AETHER_ERROR_ARGUMENT;
    static const float SILENCE[AETHER_FRAME];
    int32_t *whole = ae_state_whole(&encoder->state), frames = encoder->model->codec.frames;
    float row[FRONT_ROW];
    int row_ready;
    *ready = 0;
    whole[FRONT_CONDITIONED] = 0; /* silence is added behind the filter */
    while (whole[FRONT_FILLED] || (whole[ROWS] + whole[FRONT_HELD]) % frames) {
        size_t missing = (size_t)(AETHER_FRAME - whole[FRONT_FILLED]);
        ae_front_push(&encoder->front, SILENCE, missing, row, &row_ready);
        *ready = row_ready && take_row(encoder, row, token);
        if (*ready)
            return AETHER_OK;
    }
    if (ae_front_flush(&encoder->front, row))
        *ready = take_row(encoder, row, token);
    begin(encoder);
    return AETHER_OK;
}

size_t aether_encoder_state_size(const aether_encoder *encoder)
{
    return encoder ? ae_saved_bytes(&encoder->state) : 0;
}

int aether_encoder_save(const aether_encoder *encoder, void *state, size_t bytes)
{
    return encoder ? ae_save(&encoder->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}

int aether_encoder_load(aether_encoder *encoder, const void *state, size_t bytes)
{
    return encoder ? ae_load(&encoder->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}
