/* The network of hnsf: rows to filters. */

#include "hnsf.h"
#include "maths.h"

static const int DILATIONS[HNSF_LAYERS] = {1, 2, 1, 2, 1, 2};
static const float VOICED_ABOVE = 0.1f, DEEMPHASIS = 0.85f;
enum { PITCH = 18, VOICING = 19, KEPT = HNSF_TAPS - 1, MOST_CHANNELS = 1024, MOST_PAST = 4 };

void ae_hnsf_load(ae_hnsf *net, ae_loader *loader)
{
    static const char *const LAYER[HNSF_LAYERS] = {"hnsf.layer0", "hnsf.layer1", "hnsf.layer2",
                                                   "hnsf.layer3", "hnsf.layer4", "hnsf.layer5"};
    net->first = ae_load_dense(loader, "hnsf.first", AE_ANY, HNSF_TAPS * HNSF_INPUTS);
    net->channels = net->first.outputs;
    if (net->channels > MOST_CHANNELS) {
        loader->error = AETHER_ERROR_WEIGHTS;
        return;
    }
    for (int i = 0; i < HNSF_LAYERS; i++)
        net->layer[i] = ae_load_dense(loader, LAYER[i], 2 * net->channels, HNSF_TAPS * net->channels);
    net->head = ae_load_dense(loader, "hnsf.head", 2 * HNSF_HALF, net->channels);
    net->tables = ae_take(loader->arena, sizeof *net->tables);
}

/* Where known rising values have a wanted one, as numpy.interp has it. */
static void between(ae_between *made, int place, const double *known, int count, double wanted)
{
    int below = 0;
    while (below < count - 2 && known[below + 1] <= wanted)
        below++;
    double share = (wanted - known[below]) / (known[below + 1] - known[below]);
    made->below[place] = below;
    made->share[place] = (float)(share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share);
}

void ae_hnsf_tables_make(const ae_hnsf *net, const ae_front_tables *front)
{
    ae_hnsf_tables *tables = net->tables;
    double cosine, sine, mel[HNSF_POINTS], bands[FRONT_BANDS], widths[FRONT_BANDS] = {0}, energy = 0.0;
    for (int k = 0; k < HNSF_FFT; k++) {
        ae_turn(k, HNSF_FFT, &cosine, &sine);
        tables->cosine[k] = (float)cosine;
        tables->sine[k] = (float)sine;
    }
    for (int i = 0; i < HNSF_SEGMENT; i++) {
        ae_turn(i, HNSF_SEGMENT, &cosine, &sine);
        tables->window[i] = (float)((0.5 - 0.5 * cosine) / 2.0);
    }
    const int edge = 64;
    for (int i = 0; i < HNSF_RESPONSE; i++) {
        int from_end = i < HNSF_RESPONSE - 1 - i ? i : HNSF_RESPONSE - 1 - i;
        ae_turn(2 * from_end + 1, 4 * edge, &cosine, &sine);
        tables->taper[i] = from_end < edge ? (float)(0.5 - 0.5 * cosine) : 1.0f;
    }
    double top = ae_log10_double(1.0 + AETHER_SAMPLE_RATE / 2 / 700.0); /* of 2595 mel */
    for (int i = 0; i < HNSF_POINTS; i++)
        mel[i] = 700.0 * (ae_exp_double(2.302585092994046 * top * i / (HNSF_POINTS - 1)) - 1.0);
    for (int k = 0; k < HNSF_BINS; k++)
        between(&tables->points, k, mel, HNSF_POINTS, k * (double)AETHER_SAMPLE_RATE / HNSF_FFT);
    for (int band = 0; band < FRONT_BANDS; band++)
        bands[band] = AE_BAND_BINS[band] * (double)AETHER_SAMPLE_RATE / FRONT_WINDOW;
    for (int i = 0; i < HNSF_POINTS; i++)
        between(&tables->bands, i, bands, FRONT_BANDS, mel[i]);
    for (int band = 0; band + 1 < FRONT_BANDS; band++)
        for (int bin = AE_BAND_BINS[band]; bin < AE_BAND_BINS[band + 1]; bin++) {
            widths[band] += front->falling[bin];
            widths[band + 1] += front->rising[bin];
        }
    widths[0] *= 2.0;
    widths[FRONT_BANDS - 1] *= 2.0;
    for (int i = 0; i < FRONT_WINDOW; i++)
        energy += front->window[i] * front->window[i];
    for (int band = 0; band < FRONT_BANDS; band++) {
        double one = widths[band] * energy / ((double)FRONT_WINDOW * FRONT_WINDOW) * (32768.0 * 32768.0);
        tables->level[band] = (float)(-0.5 * ae_log_double(one));
        tables->offset[band] = (float)(4.0 * front->dct[0][band]);
        for (int i = 0; i < FRONT_BANDS; i++)
            tables->dct[i][band] = (float)front->dct[i][band];
    }
}

static size_t past(int layer)
{
    return (size_t)(KEPT * DILATIONS[layer]);
}

static size_t hidden_rows(void)
{
    size_t rows = 0;
    for (int i = 0; i < HNSF_LAYERS; i++)
        rows += past(i);
    return rows;
}

size_t ae_hnsf_state_floats(const ae_hnsf *net)
{
    return 2 * AETHER_FEATURES + hidden_rows() * (size_t)net->channels + 3 * HNSF_MEMORY + HNSF_REACH - HNSF_HOP + 1;
}

ae_hnsf_state ae_hnsf_state_in(const ae_hnsf *net, float *floats, double *phase, int32_t *place)
{
    ae_hnsf_state state;
    state.rows = floats;
    state.hidden = state.rows + 2 * AETHER_FEATURES;
    state.excitation = state.hidden + hidden_rows() * (size_t)net->channels;
    state.overlap = state.excitation + 3 * HNSF_MEMORY;
    state.output = state.overlap + HNSF_REACH - HNSF_HOP;
    state.phase = phase;
    state.place = place;
    return state;
}

ae_hnsf_work ae_hnsf_take_work(const ae_hnsf *net, ae_arena *arena)
{
    size_t channels = (size_t)net->channels, padded = ae_padded(channels), wide = ae_padded(2 * channels);
    ae_hnsf_work work;
    work.rows = ae_take_floats(arena, (HNSF_BLOCK + 2) * AETHER_FEATURES);
    work.inputs = ae_take_floats(arena, (HNSF_BLOCK + 2) * HNSF_INPUTS);
    work.x = ae_take_floats(arena, HNSF_BLOCK * padded);
    work.joined = ae_take_floats(arena, (HNSF_BLOCK + MOST_PAST) * channels);
    work.patches = ae_take_floats(arena, HNSF_BLOCK * HNSF_TAPS * channels);
    work.wide = ae_take_floats(arena, HNSF_BLOCK * wide);
    work.values = ae_take_floats(arena, HNSF_BLOCK * ae_padded(2 * HNSF_HALF));
    for (int i = 0; i < 3; i++)
        work.source[i] = ae_take_floats(arena, HNSF_MEMORY + HNSF_BLOCK * AETHER_FRAME);
    work.stated = ae_take_floats(arena, 2 * HNSF_POINTS);
    for (int i = 0; i < 4; i++)
        work.filter[i] = ae_take_floats(arena, HNSF_BINS);
    for (int i = 0; i < 2; i++) {
        work.re[i] = ae_take_floats(arena, HNSF_FFT);
        work.im[i] = ae_take_floats(arena, HNSF_FFT);
        work.spare[i] = ae_take_floats(arena, HNSF_FFT);
    }
    work.made = ae_take_floats(arena, HNSF_REACH + HNSF_HOP);
    for (int i = 0; i < 5; i++)
        work.track[i] = ae_take(arena, AETHER_FRAME * sizeof(double));
    return work;
}

/* A row with sine and cosine of a third of its pitch [turns], and the voicing flag. */
static void widen(float *inputs, const float *row)
{
    float turns = row[PITCH] * (1.0f / 3.0f);
    turns = ae_limit(turns, 1000.0f);
    memcpy(inputs, row, AETHER_FEATURES * sizeof *row);
    inputs[AETHER_FEATURES] = ae_cosine(turns - 0.25f);
    inputs[AETHER_FEATURES + 1] = ae_cosine(turns);
    inputs[AETHER_FEATURES + 2] = row[VOICING] > VOICED_ABOVE ? 1.0f : 0.0f;
}

/* The first convolution of `count` rows, whose inputs follow those of two earlier ones: work->x, compact. */
static void begin(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_work *work, int count)
{
    size_t channels = (size_t)net->channels, padded = ae_padded(channels);
    ae_apply(kernels, &net->first, work->wide, padded, work->inputs, HNSF_INPUTS, count);
    for (int row = 0; row < count; row++)
        kernels->silu(work->x + (size_t)row * channels, work->wide + (size_t)row * padded, net->channels);
}

/* A gated convolution of work->joined and a way past it: work->x. */
static void convolve(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_work *work, int layer, int count)
{
    size_t channels = (size_t)net->channels, bytes = channels * sizeof(float), wide = ae_padded(2 * channels);
    for (int row = 0; row < count; row++)
        for (int tap = 0; tap < HNSF_TAPS; tap++)
            memcpy(work->patches + (size_t)(row * HNSF_TAPS + tap) * channels,
                   work->joined + (size_t)(row + tap * DILATIONS[layer]) * channels, bytes);
    ae_apply(kernels, &net->layer[layer], work->wide, wide, work->patches, HNSF_TAPS * channels, count);
    for (int row = 0; row < count; row++) {
        float *value = work->wide + (size_t)row * wide, *x = work->x + (size_t)row * channels;
        kernels->tanh(value, net->channels);
        kernels->gate(value, value, value + channels, net->channels);
        for (size_t i = 0; i < channels; i++)
            x[i] = x[i] + value[i];
    }
}

void ae_hnsf_prime(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work,
                   const float *row)
{
    size_t channels = (size_t)net->channels, bytes = channels * sizeof(float);
    for (int i = 0; i < HNSF_TAPS; i++)
        widen(work->inputs + i * HNSF_INPUTS, row);
    for (int i = 0; i < 2; i++)
        memcpy(state->rows + i * AETHER_FEATURES, row, AETHER_FEATURES * sizeof *row);
    begin(net, kernels, work, 1);
    float *hidden = state->hidden;
    for (int layer = 0; layer < HNSF_LAYERS; layer++) {
        for (size_t i = 0; i < past(layer); i++, hidden += channels)
            memcpy(hidden, work->x, bytes);
        for (size_t i = 0; i <= past(layer); i++)
            memcpy(work->joined + i * channels, work->x, bytes);
        convolve(net, kernels, work, layer, 1);
    }
}

/* Outputs [count, padded 2 * 193] of new rows, which follow the two before in work->rows; in work->values. */
static void run(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work,
                int count)
{
    size_t channels = (size_t)net->channels, rows = (size_t)count;
    for (int i = 0; i < count + 2; i++)
        widen(work->inputs + i * HNSF_INPUTS, work->rows + i * AETHER_FEATURES);
    begin(net, kernels, work, count);
    float *hidden = state->hidden;
    for (int layer = 0; layer < HNSF_LAYERS; layer++) {
        size_t kept = past(layer) * channels;
        memcpy(work->joined, hidden, kept * sizeof *hidden);
        memcpy(work->joined + kept, work->x, rows * channels * sizeof *hidden);
        for (size_t i = 0; i < kept; i++)
            hidden[i] = ae_flushed(work->joined[rows * channels + i]);
        convolve(net, kernels, work, layer, count);
        hidden += kept;
    }
    ae_apply(kernels, &net->head, work->values, ae_padded(2 * HNSF_HALF), work->x, channels, count);
}

void ae_hnsf_render(const ae_hnsf *net, const ae_kernels *kernels, const ae_hnsf_state *state, const ae_hnsf_work *work,
                    const float *rows, int count, float *samples)
{
    memcpy(work->rows, state->rows, 2 * AETHER_FEATURES * sizeof *rows);
    memcpy(work->rows + 2 * AETHER_FEATURES, rows, (size_t)count * AETHER_FEATURES * sizeof *rows);
    run(net, kernels, state, work, count);
    for (int part = 0; part < 3; part++)
        memcpy(work->source[part], state->excitation + part * HNSF_MEMORY, HNSF_MEMORY * sizeof(float));
    for (int i = 0; i < count; i++) {
        const float *before = work->rows + i * AETHER_FEATURES, *row = before + AETHER_FEATURES;
        int at = i * AETHER_FRAME, fresh = HNSF_MEMORY + at;
        ae_hnsf_excite(kernels, state, work, row[PITCH], row[AETHER_FEATURES + PITCH], work->source[0] + fresh,
                       work->source[1] + fresh, work->source[2] + fresh);
        const float *const source[3] = {work->source[0] + at, work->source[1] + at, work->source[2] + at};
        const float *values = work->values + (size_t)i * ae_padded(2 * HNSF_HALF);
        ae_hnsf_filter(net, kernels, state, work, source, before, row, values, samples + at);
    }
    for (int i = 0; i < count * AETHER_FRAME; i++)
        samples[i] = *state->output = ae_flushed(samples[i] + DEEMPHASIS * *state->output);
    for (int part = 0; part < 3; part++)
        memcpy(state->excitation + part * HNSF_MEMORY, work->source[part] + count * AETHER_FRAME,
               HNSF_MEMORY * sizeof(float));
    memcpy(state->rows, work->rows + count * AETHER_FEATURES, 2 * AETHER_FEATURES * sizeof *rows);
}
