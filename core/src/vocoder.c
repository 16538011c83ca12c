/* A vocoder as a stream of its own. */

#include "maths.h"
#include "state.h"
#include "voice.h"

enum { WHOLE = VOICE_WHOLE + 1 };

static const float LARGEST_FEATURE = 1000.0f;

struct aether_vocoder {
    ae_state state;
    int32_t limits[WHOLE][2];
    ae_voice voice;
};

static aether_vocoder *lay_out(aether_vocoder *given, ae_arena *arena, const aether_model *model)
{
    aether_vocoder *made = ae_take(arena, sizeof *made), *vocoder = made ? made : given;
    vocoder->state = (ae_state){AE_VOCODER, model->id, WHOLE, vocoder->limits, 1, ae_voice_floats(model), NULL};
    ae_state_take(&vocoder->state, arena);
    ae_voice_take(&vocoder->voice, model, arena);
    return vocoder;
}

size_t aether_vocoder_size(const aether_model *model)
{
    aether_vocoder counted_only;
    ae_arena counted = {NULL, 0};
    if (!model || model->vocoder == AE_NO_VOCODER)
        return 0;
    lay_out(&counted_only, &counted, model);
    return counted.used;
}

int aether_vocoder_init(void *memory, size_t bytes, const aether_model *model, aether_vocoder **vocoder)
{
    if (!model || !vocoder)
        return AETHER_ERROR_ARGUMENT;
    if (model->vocoder == AE_NO_VOCODER)
        return AETHER_ERROR_MISSING;
    int error = ae_check_memory(memory, bytes, aether_vocoder_size(model));
    if (error)
        return error;
    ae_arena arena = {memory, 0};
    aether_vocoder *made = lay_out(NULL, &arena, model);
    memset(made->limits, 0, sizeof made->limits);
    ae_voice_place(&made->voice, ae_state_floats(&made->state), ae_state_doubles(&made->state),
                   ae_state_whole(&made->state), made->limits);
    ae_state_clear(&made->state);
    *vocoder = made;
    return AETHER_OK;
}

int aether_vocoder_push(aether_vocoder *vocoder, const float *rows, size_t count, float *samples, size_t *made)
{
    if (!vocoder || (count && (!rows || !samples)) || !made)
        return AETHER_ERROR_ARGUMENT;
    for (size_t i = 0; i < count * AETHER_FEATURES; i++)
        if (!(fabsf(rows[i]) <= LARGEST_FEATURE))
            return AETHER_ERROR_VALUE;
    *made = ae_voice_push(&vocoder->voice, rows, count, samples);
    return AETHER_OK;
}

int aether_vocoder_flush(aether_vocoder *vocoder, float *samples, size_t *made)
{
    if (!vocoder || !samples || !made)
        return AETHER_ERROR_ARGUMENT;
    *made = ae_voice_end(&vocoder->voice, samples);
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
