/* A vocoder as a stream of its own. */

#include "maths.h"
#include "state.h"
#include "voice.h"

enum { STARTED, UNUSED, WHOLE };

static const int32_t LIMITS[WHOLE][2] = {{VOICE_NO_ROW, VOICE_RUNNING}, {0, 0}};
static const float LARGEST_FEATURE = 1000.0f;

struct aether_vocoder {
    ae_state state;
    ae_voice voice;
};

static aether_vocoder *lay_out(aether_vocoder *given, ae_arena *arena, const aether_model *model)
{
    aether_vocoder *made = ae_take(arena, sizeof *made), *vocoder = made ? made : given;
    vocoder->state = (ae_state){AE_VOCODER, model->id, WHOLE, LIMITS, 0, ae_voice_floats(model), NULL};
    ae_state_take(&vocoder->state, arena);
    vocoder->voice.model = model;
    vocoder->voice.work = ae_fargan_take_work(&model->fargan, arena);
    return vocoder;
}

size_t aether_vocoder_size(const aether_model *model)
{
    aether_vocoder counted_only;
    ae_arena counted = {NULL, 0};
    if (!model || !model->has_fargan)
        return 0;
    lay_out(&counted_only, &counted, model);
    return counted.used;
}

int aether_vocoder_init(void *memory, size_t bytes, const aether_model *model, aether_vocoder **vocoder)
{
    if (!model || !vocoder)
        return AETHER_ERROR_ARGUMENT;
    if (!model->has_fargan)
        return AETHER_ERROR_MISSING;
    int error = ae_check_memory(memory, bytes, aether_vocoder_size(model));
    if (error)
        return error;
    ae_arena arena = {memory, 0};
    aether_vocoder *made = lay_out(NULL, &arena, model);
    made->voice.net = ae_fargan_state_in(&model->fargan, ae_state_floats(&made->state));
    made->voice.started = ae_state_whole(&made->state) + STARTED;
    ae_state_clear(&made->state);
    *vocoder = made;
    return AETHER_OK;
}

int aether_vocoder_push(aether_vocoder *vocoder, const float *row, float *samples, size_t *count)
{
    if (!vocoder || !row || !samples || !count)
        return AETHER_ERROR_ARGUMENT;
    for (int i = 0; i < AETHER_FEATURES; i++)
        if (!(fabsf(row[i]) <= LARGEST_FEATURE))
            return AETHER_ERROR_VALUE;
    *count = ae_voice_push(&vocoder->voice, row, samples);
    return AETHER_OK;
}

int aether_vocoder_flush(aether_vocoder *vocoder, float *samples, size_t *count)
{
    if (!vocoder || !samples || !count)
        return AETHER_ERROR_ARGUMENT;
    *count = ae_voice_end(&vocoder->voice, samples);
    ae_state_clear(&vocoder->state);
    return AETHER_OK;
}

size_t aether_vocoder_state_size(const aether_vocoder *vocoder)
{
    return vocoder ? ae_saved_bytes(&vocoder->state) : 0;
}

int aether_vocoder_save(const aether_vocoder *vocoder, void *state, size_t bytes)
{
    return vocoder ? ae_save(&vocoder->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}

int aether_vocoder_load(aether_vocoder *vocoder, const void *state, size_t bytes)
{
    return vocoder ? ae_load(&vocoder->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}
