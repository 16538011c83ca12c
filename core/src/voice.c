#include "voice.h"

#include "maths.h"

size_t ae_voice_floats(const aether_model *model)
{
    return model->has_fargan ? ae_fargan_state_floats(&model->fargan) : 0;
}

static void render(const ae_voice *voice, const float *row, int audible, float *samples)
{
    const aether_model *model = voice->model;
    ae_fargan_frame(&model->fargan, model->kernels, &voice->net, &voice->work, row, audible, samples);
    for (int i = 0; i < AETHER_FRAME; i++)
        samples[i] = ae_limit(samples[i], 1.0f);
}

size_t ae_voice_push(const ae_voice *voice, const float *row, float *samples)
{
    if (*voice->started == VOICE_NO_ROW) {
        memcpy(voice->net.rows, row, AETHER_FEATURES * sizeof(float));
        memcpy(voice->net.rows + AETHER_FEATURES, row, AETHER_FEATURES * sizeof(float));
        render(voice, row, 0, samples);
        *voice->started = VOICE_PRIMED;
        return 0;
    }
    size_t cut = *voice->started == VOICE_PRIMED ? AETHER_FRAME / 2 : 0; /* lies before the start of the speech */
    render(voice, row, 1, samples);
    memmove(samples, samples + cut, (AETHER_FRAME - cut) * sizeof *samples);
    *voice->started = VOICE_RUNNING;
    return AETHER_FRAME - cut;
}

size_t ae_voice_end(const ae_voice *voice, float *samples)
{
    float last[AETHER_FEATURES], frame[AETHER_FRAME];
    if (*voice->started == VOICE_NO_ROW)
        return 0;
    memcpy(last, voice->net.rows + AETHER_FEATURES, sizeof last);
    size_t count = ae_voice_push(voice, last, samples);
    render(voice, last, 1, frame);
    memcpy(samples + count, frame, AETHER_FRAME / 2 * sizeof *samples);
    return count + AETHER_FRAME / 2;
}
