/* Features as a stream of their own. */

#include "maths.h"
#include "model.h"
#include "state.h"

struct aether_features {
    ae_state state;
    ae_front front;
};

static const float LOUDEST = 100.0f;
enum { MOST_AT_ONCE = 2 * AETHER_FRAME }; /* samples until the first row */

int ae_check_samples(const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(samples[i]) <= LOUDEST))
            return AETHER_ERROR_VALUE;
    return AETHER_OK;
}

static aether_features *lay_out(aether_features *given, ae_arena *arena, const aether_model *model)
{
    aether_features *made = ae_take(arena, sizeof *made), *features = made ? made : given;
    size_t doubles = sizeof(ae_front_state) / sizeof(double);
    features->state = (ae_state){AE_FRONT_END, model->id, FRONT_WHOLE, AE_FRONT_LIMITS, doubles, 0, NULL};
    ae_state_take(&features->state, arena);
    return features;
}

size_t aether_features_size(const aether_model *model)
{
    aether_features counted_only;
    ae_arena counted = {NULL, 0};
    if (!model)
        return 0;
    lay_out(&counted_only, &counted, model);
    return counted.used;
}

int aether_features_init(void *memory, size_t bytes, const aether_model *model, int condition,
                         aether_features **features)
{
    if (!model || !features || (condition != 0 && condition != 1))
        return AETHER_ERROR_ARGUMENT;
    int error = ae_check_memory(memory, bytes, aether_features_size(model));
    if (error)
        return error;
    ae_arena arena = {memory, 0};
    aether_features *made = lay_out(NULL, &arena, model);
    made->front.tables = model->front;
    made->front.kernels = model->kernels;
    made->front.whole = ae_state_whole(&made->state);
    made->front.state = (ae_front_state *)(void *)ae_state_doubles(&made->state);
    ae_front_begin(&made->front, condition);
    *features = made;
    return AETHER_OK;
}

int aether_features_push(aether_features *features, const float *samples, size_t count, size_t *used, float *row,
                         int *ready)
{
    if (!features || (!samples && count) || !used || !row || !ready)
        return AETHER_ERROR_ARGUMENT;
    count = count < MOST_AT_ONCE ? count : MOST_AT_ONCE;
    int error = ae_check_samples(samples, count);
    if (!error)
        *used = ae_front_push(&features->front, samples, count, row, ready);
    return error;
}

int aether_features_flush(aether_features *features, float *row, int *ready)
{
    if (!features || !row || !ready)
        return AETHER_ERROR_ARGUMENT;
    *ready = ae_front_flush(&features->front, row);
    ae_front_begin(&features->front, features->front.whole[FRONT_CONDITIONED]);
    return AETHER_OK;
}

size_t aether_features_state_size(const aether_features *features)
{
    return features ? ae_saved_bytes(&features->state) : 0;
}

int aether_features_save(const aether_features *features, void *state, size_t bytes)
{
    return features ? ae_save(&features->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}

int aether_features_load(aether_features *features, const void *state, size_t bytes)
{
    return features ? ae_load(&features->state, state, bytes) : AETHER_ERROR_ARGUMENT;
}
