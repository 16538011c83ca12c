/* A vocoder as a stream: rows to samples, in line with the analysed speech. Another kind of vocoder has its place here.
 *
 * A frame of samples belongs to the row before the newest and is centred on it. The stream is primed by its first row,
 * and ended by its last row repeated; the half frames that stick out at both ends are cut. */

#include "maths.h"
#include "model.h"
#include "state.h"

enum { NO_ROW, PRIMED, RUNNING }; /* whole number 0: rows so far, up to two */
enum { STARTED, UNUSED, WHOLE };

static const int32_t LIMITS[WHOLE][2] = {{NO_ROW, RUNNING}, {0, 0}};
static const float LARGEST_FEATURE = 1000.0f;

struct aether_vocoder {
    const aether_model *model;
    ae_state state;
    ae_fargan_state net;
    ae_fargan_work work;
};

static aether_vocoder *lay_out(aether_vocoder *given, ae_arena *arena, const aether_model *model)
{
    aether_vocoder *made = ae_take(arena, sizeof *made), *vocoder = made ? made : given;
    vocoder->model = model;
    vocoder->state = (ae_state){AE_VOCODER, model->id, WHOLE, LIMITS, 0, ae_fargan_state_floats(&model->fargan), NULL};
    ae_state_take(&vocoder->state, arena);
    vocoder->work = ae_fargan_take_work(&model->fargan, arena);
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
    made->net = ae_fargan_state_in(&model->fargan, ae_state_floats(&made->state));
    ae_state_clear(&made->state);
    *vocoder = made;
    return AETHER_OK;
}

static void render(aether_vocoder *vocoder, const float *row, int audible, float *samples)
{
    const aether_model *model = vocoder->model;
    ae_fargan_frame(&model->fargan, model->kernels, &vocoder->net, &vocoder->work, row, audible, samples);
    for (int i = 0; i < AETHER_FRAME; i++)
        samples[i] = ae_limit(samples[i], 1.0f);
}

/* A frame without the half that lies before the start of the speech. */
static size_t render_cut(aether_vocoder *vocoder, const float *row, float *samples)
{
    int32_t *started = ae_state_whole(&vocoder->state) + STARTED;
    size_t cut = *started == PRIMED ? AETHER_FRAME / 2 : 0;
    render(vocoder, row, 1, samples);
    memmove(samples, samples + cut, (AETHER_FRAME - cut) * sizeof *samples);
    *started = RUNNING;
    return AETHER_FRAME - cut;
}

int aether_vocoder_push(aether_vocoder *vocoder, const float *row, float *samples, size_t *count)
{
    if (!vocoder || !row || !samples || !count)
        return AETHER_ERROR_ARGUMENT;
    for (int i = 0; i < AETHER_FEATURES; i++)
        if (!(fabsf(row[i]) <= LARGEST_FEATURE))
            return AETHER_ERROR_VALUE;
    int32_t *started = ae_state_whole(&vocoder->state) + STARTED;
    if (*started != NO_ROW) {
        *count = render_cut(vocoder, row, samples);
        return AETHER_OK;
    }
    memcpy(vocoder->net.rows, row, AETHER_FEATURES * sizeof(float));
    memcpy(vocoder->net.rows + AETHER_FEATURES, row, AETHER_FEATURES * sizeof(float));
    render(vocoder, row, 0, samples);
    *started = PRIMED;
    *count = 0;
    return AETHER_OK;
}

int aether_vocoder_flush(aether_vocoder *vocoder, float *samples, size_t *count)
{
    if (!vocoder || !samples || !count)
        return AETHER_ERROR_ARGUMENT;
    *count = 0;
    if (ae_state_whole(&vocoder->state)[STARTED] == NO_ROW)
        return AETHER_OK;
    float last[AETHER_FEATURES], frame[AETHER_FRAME];
    memcpy(last, vocoder->net.rows + AETHER_FEATURES, sizeof last);
    *count = render_cut(vocoder, last, samples);
    render(vocoder, last, 1, frame);
    memcpy(samples + *count, frame, AETHER_FRAME / 2 * sizeof *samples);
    *count += AETHER_FRAME / 2;
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
