#include "fargan.h"

#include "maths.h"

static const float GAIN_FLOOR = 1e-5f, DEEMPHASIS = 0.85f;
static const double LAG_MIN = 32.0, LAG_MAX = 256.0, PERIOD_MAX = 255.0;
enum { PITCH = 18, PITCH_GATES = 4, GATES_ROOM = AE_OCTET, PAST = 2 * FARGAN_SUBFRAME };

void ae_fargan_load(ae_fargan *net, ae_loader *loader)
{
    static const char *const OF_INPUT[] = {"fargan.gru1_input", "fargan.gru2_input", "fargan.gru3_input"};
    static const char *const OF_STATE[] = {"fargan.gru1_state", "fargan.gru2_state", "fargan.gru3_state"};
    static const char *const GATE[] = {"fargan.gru1_gate", "fargan.gru2_gate", "fargan.gru3_gate"};
    ae_section embedding = {0};
    if (!ae_find(loader->file, "fargan.embedding", &embedding) || embedding.kind != AE_FLOAT32) {
        loader->error = AETHER_ERROR_WEIGHTS;
        return;
    }
    net->embedding = embedding.data;
    net->classes = embedding.rows;
    net->embedding_size = embedding.columns;
    net->cond_in = ae_load_dense(loader, "fargan.cond_in", AE_ANY, AETHER_FEATURES + net->embedding_size);
    net->hidden = net->cond_in.outputs;
    net->cond_conv = ae_load_dense(loader, "fargan.cond_conv", AE_ANY, FARGAN_ROWS * net->hidden);
    net->channels = net->cond_conv.outputs;
    net->cond_out = ae_load_dense(loader, "fargan.cond_out", AE_ANY, net->channels);
    net->cond = net->cond_out.outputs / FARGAN_SUBFRAMES;
    if (net->cond_out.outputs % FARGAN_SUBFRAMES)
        loader->error = AETHER_ERROR_WEIGHTS;
    net->gain = ae_load_dense(loader, "fargan.gain", 1, net->cond);
    net->tap = net->cond + FARGAN_GATHERED + FARGAN_SUBFRAME;
    net->conv = ae_load_dense(loader, "fargan.conv", AE_ANY, 2 * net->tap);
    net->conv_size = net->conv.outputs;
    net->conv_gate = ae_load_dense(loader, "fargan.conv_gate", net->conv_size, net->conv_size);
    net->pitch_gates = ae_load_dense(loader, "fargan.pitch_gates", PITCH_GATES, net->conv_size);
    int32_t incoming = net->conv_size, all = net->conv_size + PAST;
    for (int i = 0; i < FARGAN_GRUS; i++) {
        net->of_input[i] = ae_load_dense(loader, OF_INPUT[i], AE_ANY, incoming + PAST);
        int32_t units = net->units[i] = net->of_input[i].outputs / 3;
        if (net->of_input[i].outputs % 3)
            loader->error = AETHER_ERROR_WEIGHTS;
        net->of_state[i] = ae_load_dense(loader, OF_STATE[i], 3 * units, units);
        net->gate[i] = ae_load_dense(loader, GATE[i], units, units);
        incoming = units;
        all += units;
    }
    net->skip = ae_load_dense(loader, "fargan.skip", AE_ANY, all);
    net->skip_size = net->skip.outputs;
    net->skip_gate = ae_load_dense(loader, "fargan.skip_gate", net->skip_size, net->skip_size);
    net->out = ae_load_dense(loader, "fargan.out", FARGAN_SUBFRAME, net->skip_size);
}

size_t ae_fargan_state_floats(const ae_fargan *net)
{
    size_t units = (size_t)(net->units[0] + net->units[1] + net->units[2]);
    return (FARGAN_ROWS - 1) * AETHER_FEATURES + FARGAN_MEMORY + (size_t)net->tap + units + 1;
}

ae_fargan_state ae_fargan_state_in(const ae_fargan *net, float *floats)
{
    ae_fargan_state state;
    state.rows = floats;
    state.memory = state.rows + (FARGAN_ROWS - 1) * AETHER_FEATURES;
    state.tap = state.memory + FARGAN_MEMORY;
    float *next = state.tap + net->tap;
    for (int i = 0; i < FARGAN_GRUS; next += net->units[i++])
        state.h[i] = next;
    state.output = next;
    return state;
}

static size_t greatest(size_t a, size_t b)
{
    return a > b ? a : b;
}

ae_fargan_work ae_fargan_take_work(const ae_fargan *net, ae_arena *arena)
{
    size_t widest = greatest((size_t)net->channels, (size_t)net->conv_size);
    widest = greatest(widest, greatest((size_t)net->skip_size, FARGAN_SUBFRAME));
    for (int i = 0; i < FARGAN_GRUS; i++)
        widest = greatest(widest, 3 * (size_t)net->units[i]);
    ae_fargan_work work;
    work.features = ae_take_floats(arena, (size_t)(AETHER_FEATURES + net->embedding_size));
    work.taps = ae_take_floats(arena, ae_padded((size_t)net->hidden) + (FARGAN_ROWS - 1) * (size_t)net->hidden);
    work.cond = ae_take_floats(arena, ae_padded((size_t)net->cond_out.outputs));
    work.conv_input = ae_take_floats(arena, 2 * (size_t)net->tap);
    work.first = ae_take_floats(arena, ae_padded(widest));
    work.second = ae_take_floats(arena, ae_padded(widest));
    work.y = ae_take_floats(arena, (size_t)net->conv_size);
    work.operand = ae_take_floats(arena, (size_t)greatest((size_t)net->skip.inputs, (size_t)net->of_input[0].inputs));
    for (int i = 0; i < FARGAN_GRUS; i++)
        work.o[i] = ae_take_floats(arena, (size_t)net->units[i]);
    work.signal = ae_take_floats(arena, FARGAN_MEMORY + AETHER_FRAME);
    return work;
}

/* Samples; in range whatever the feature. */
static int period_of(float pitch)
{
    double period = LAG_MAX / ae_exp2_double((double)pitch + 1.5);
    if (!(period > LAG_MIN))
        return (int)LAG_MIN;
    period = period < PERIOD_MAX ? period : PERIOD_MAX;
    return (int)((period + 6755399441055744.0) - 6755399441055744.0); /* half to even */
}

static void condition(const ae_fargan *net, const ae_kernels *k, const ae_fargan_state *state,
                      const ae_fargan_work *work, const float *row)
{
    const float *rows[FARGAN_ROWS] = {state->rows, state->rows + AETHER_FEATURES, row};
    for (int i = 0; i < FARGAN_ROWS; i++) {
        int known = period_of(rows[i][PITCH]) - (int)LAG_MIN;
        known = known < net->classes ? known : net->classes - 1;
        memcpy(work->features, rows[i], AETHER_FEATURES * sizeof(float));
        memcpy(work->features + AETHER_FEATURES, net->embedding + (size_t)known * (size_t)net->embedding_size,
               (size_t)net->embedding_size * sizeof(float));
        float *tap = work->taps + i * net->hidden; /* the filling is overwritten by the next */
        ae_apply_row(k, &net->cond_in, tap, work->features);
        k->tanh(tap, net->hidden);
    }
    ae_apply_row(k, &net->cond_conv, work->first, work->taps);
    k->tanh(work->first, net->channels);
    ae_apply_row(k, &net->cond_out, work->cond, work->first);
    k->tanh(work->cond, net->cond_out.outputs);
}

/* The newest input of the convolution, from the 256 samples before; the gain is returned. */
static float predict(const ae_fargan *net, const ae_kernels *k, const ae_fargan_work *work, const float *cond,
                     const float *memory, int period, float *tap)
{
    ae_apply_row(k, &net->gain, work->first, cond);
    float gain = ae_exp(work->first[0]), scale = 1.0f / (gain + GAIN_FLOOR);
    memcpy(tap, cond, (size_t)net->cond * sizeof(float));
    float *gathered = tap + net->cond, *previous = gathered + FARGAN_GATHERED;
    for (int i = 0; i < FARGAN_GATHERED; i++) {
        int place = FARGAN_MEMORY - FARGAN_GUARD + i - period;
        place = place >= FARGAN_MEMORY ? place - period : place;
        gathered[i] = ae_limit(scale * memory[place > 0 ? place : 0], 1.0f);
    }
    for (int i = 0; i < FARGAN_SUBFRAME; i++)
        previous[i] = ae_limit(scale * memory[FARGAN_MEMORY - FARGAN_SUBFRAME + i], 1.0f);
    return gain;
}

/* Operands [before | gated pitch prediction | previous samples]; the end of `before` in work->operand is at `at`. */
static void append_past(const ae_fargan *net, const ae_fargan_work *work, int32_t at, const float *tap, float gate)
{
    const float *exact = tap + net->cond + FARGAN_GUARD, *previous = tap + net->cond + FARGAN_GATHERED;
    float *target = work->operand + at;
    for (int i = 0; i < FARGAN_SUBFRAME; i++)
        target[i] = gate * exact[i];
    memcpy(target + FARGAN_SUBFRAME, previous, FARGAN_SUBFRAME * sizeof(float));
}

/* tanh(W x), then its gated unit, in y. */
static void gated(const ae_kernels *k, const ae_dense *layer, const ae_dense *gate, const ae_fargan_work *work,
                  const float *x, float *y)
{
    ae_apply_row(k, layer, work->first, x);
    k->tanh(work->first, layer->outputs);
    ae_apply_row(k, gate, work->second, work->first);
    k->gate(y, work->first, work->second, layer->outputs);
}

static void recur(const ae_fargan *net, const ae_kernels *k, const ae_fargan_state *state, const ae_fargan_work *work,
                  const float *tap, const float *gates)
{
    const float *before = work->y;
    int32_t size = net->conv_size;
    for (int i = 0; i < FARGAN_GRUS; i++) {
        memcpy(work->operand, before, (size_t)size * sizeof(float));
        append_past(net, work, size, tap, gates[i]);
        ae_apply_row(k, &net->of_input[i], work->first, work->operand);
        ae_apply_row(k, &net->of_state[i], work->second, state->h[i]);
        k->gru(state->h[i], work->first, work->second, net->units[i]);
        ae_apply_row(k, &net->gate[i], work->first, state->h[i]);
        k->gate(work->o[i], state->h[i], work->first, net->units[i]);
        before = work->o[i];
        size = net->units[i];
    }
}

/* 40 values in work->second that the gain makes samples. */
static void finish(const ae_fargan *net, const ae_kernels *k, const ae_fargan_work *work, const float *tap, float gate)
{
    int32_t at = 0;
    for (int i = 0; i < FARGAN_GRUS; at += net->units[i++])
        memcpy(work->operand + at, work->o[i], (size_t)net->units[i] * sizeof(float));
    memcpy(work->operand + at, work->y, (size_t)net->conv_size * sizeof(float));
    append_past(net, work, at + net->conv_size, tap, gate);
    gated(k, &net->skip, &net->skip_gate, work, work->operand, work->first);
    ae_apply_row(k, &net->out, work->second, work->first);
    k->tanh(work->second, FARGAN_SUBFRAME);
}

void ae_fargan_frame(const ae_fargan *net, const ae_kernels *kernels, const ae_fargan_state *state,
                     const ae_fargan_work *work, const float *row, int audible, float *samples)
{
    condition(net, kernels, state, work, row);
    int period = period_of(state->rows[AETHER_FEATURES + PITCH]);
    float *tap = work->conv_input + net->tap, gates[GATES_ROOM];
    memcpy(work->conv_input, state->tap, (size_t)net->tap * sizeof(float));
    memcpy(work->signal, state->memory, FARGAN_MEMORY * sizeof(float));
    for (int part = 0; part < FARGAN_SUBFRAMES; part++) {
        float *memory = work->signal + part * FARGAN_SUBFRAME, *new_signal = memory + FARGAN_MEMORY;
        float gain = predict(net, kernels, work, work->cond + part * net->cond, memory, period, tap);
        gated(kernels, &net->conv, &net->conv_gate, work, work->conv_input, work->y);
        memcpy(work->conv_input, tap, (size_t)net->tap * sizeof(float));
        ae_apply_row(kernels, &net->pitch_gates, gates, work->y);
        kernels->sigmoid(gates, PITCH_GATES);
        recur(net, kernels, state, work, tap, gates);
        finish(net, kernels, work, tap, gates[PITCH_GATES - 1]);
        gain = audible ? gain : 0.0f;
        for (int i = 0; i < FARGAN_SUBFRAME; i++) {
            new_signal[i] = ae_flushed(gain * work->second[i]);
            *state->output = ae_flushed(new_signal[i] + DEEMPHASIS * *state->output);
            samples[part * FARGAN_SUBFRAME + i] = *state->output;
        }
    }
    memcpy(state->tap, work->conv_input, (size_t)net->tap * sizeof(float));
    memcpy(state->memory, work->signal + AETHER_FRAME, FARGAN_MEMORY * sizeof(float));
    memmove(state->rows, state->rows + AETHER_FEATURES, AETHER_FEATURES * sizeof(float));
    memcpy(state->rows + AETHER_FEATURES, row, AETHER_FEATURES * sizeof(float));
}

void ae_fargan_prime(const ae_fargan *net, const ae_kernels *kernels, const ae_fargan_state *state,
                     const ae_fargan_work *work, const float *row)
{
    float silence[AETHER_FRAME];
    for (int i = 0; i < FARGAN_ROWS - 1; i++)
        memcpy(state->rows + i * AETHER_FEATURES, row, AETHER_FEATURES * sizeof(float));
    ae_fargan_frame(net, kernels, state, work, row, 0, silence);
}
