#include "voice.h"

#include "maths.h"

enum { MOST_BEHIND = 3 }; /* repetitions of the last row */

int32_t ae_voice_delay(const aether_model *model)
{
    switch (model->vocoder) {
    case AE_FARGAN: return FARGAN_DELAY;
    case AE_HNSF: return HNSF_DELAY;
    default: return 0;
    }
}

size_t ae_voice_floats(const aether_model *model)
{
    switch (model->vocoder) {
    case AE_FARGAN: return ae_fargan_state_floats(&model->fargan);
    case AE_HNSF: return ae_hnsf_state_floats(&model->hnsf);
    default: return 0;
    }
}

void ae_voice_take(ae_voice *voice, const aether_model *model, ae_arena *arena)
{
    voice->model = model;
    if (model->vocoder == AE_FARGAN)
        voice->net.fargan.work = ae_fargan_take_work(&model->fargan, arena);
    if (model->vocoder == AE_HNSF)
        voice->net.hnsf.work = ae_hnsf_take_work(&model->hnsf, arena);
}

void ae_voice_place(ae_voice *voice, float *floats, double *phase, int32_t *whole, int32_t limits[VOICE_WHOLE][2])
{
    const aether_model *model = voice->model;
    int32_t most = ae_voice_delay(model) - AETHER_FRAME;
    const int32_t own[VOICE_WHOLE][2] = {{0, 1}, {0, most > 0 ? most : 0}, {INT32_MIN, INT32_MAX}};
    memcpy(limits, own, sizeof own);
    voice->whole = whole;
    voice->last = floats + AETHER_FEATURES;
    if (model->vocoder == AE_FARGAN)
        voice->net.fargan.state = ae_fargan_state_in(&model->fargan, floats);
    if (model->vocoder == AE_HNSF)
        voice->net.hnsf.state = ae_hnsf_state_in(&model->hnsf, floats, phase, whole + VOICE_PLACE);
}

static void prime(const ae_voice *voice, const float *row)
{
    const aether_model *model = voice->model;
    if (model->vocoder == AE_FARGAN)
        ae_fargan_prime(&model->fargan, model->kernels, &voice->net.fargan.state, &voice->net.fargan.work, row);
    else
        ae_hnsf_prime(&model->hnsf, model->kernels, &voice->net.hnsf.state, &voice->net.hnsf.work, row);
}

/* 160 samples a row. */
static void render(const ae_voice *voice, const float *rows, size_t count, float *samples)
{
    const aether_model *model = voice->model;
    for (size_t done = 0, block; done < count; done += block) {
        const float *given = rows + done * AETHER_FEATURES;
        float *made = samples + done * AETHER_FRAME;
        block = 1;
        if (model->vocoder == AE_FARGAN) {
            ae_fargan_frame(&model->fargan, model->kernels, &voice->net.fargan.state, &voice->net.fargan.work, given, 1,
                            made);
        } else {
            block = count - done < HNSF_BLOCK ? count - done : HNSF_BLOCK;
            ae_hnsf_render(&model->hnsf, model->kernels, &voice->net.hnsf.state, &voice->net.hnsf.work, given,
                           (int)block, made);
        }
    }
    for (size_t i = 0; i < count * AETHER_FRAME; i++)
        samples[i] = ae_limit(samples[i], 1.0f);
}

size_t ae_voice_push(const ae_voice *voice, const float *rows, size_t count, float *samples)
{
    int32_t *begun = &voice->whole[VOICE_BEGUN], *left = &voice->whole[VOICE_CUT];
    if (count && !*begun) {
        prime(voice, rows);
        *begun = 1;
        *left = ae_voice_delay(voice->model) - AETHER_FRAME;
        rows += AETHER_FEATURES;
        count--;
    }
    render(voice, rows, count, samples);
    size_t made = count * AETHER_FRAME, cut = (size_t)*left < made ? (size_t)*left : made;
    *left -= (int32_t)cut;
    memmove(samples, samples + cut, (made - cut) * sizeof *samples);
    return made - cut;
}

size_t ae_voice_end(const ae_voice *voice, float *samples)
{
    float rows[MOST_BEHIND * AETHER_FEATURES], frames[MOST_BEHIND * AETHER_FRAME];
    size_t delay = (size_t)ae_voice_delay(voice->model), behind = (delay + AETHER_FRAME - 1) / AETHER_FRAME;
    if (!voice->whole[VOICE_BEGUN])
        return 0;
    for (size_t i = 0; i < behind; i++)
        memcpy(rows + i * AETHER_FEATURES, voice->last, AETHER_FEATURES * sizeof *rows);
    size_t count = ae_voice_push(voice, rows, behind, frames) - (behind * AETHER_FRAME - delay);
    memcpy(samples, frames, count * sizeof *samples);
    return count;
}
