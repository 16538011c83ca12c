#include "codec.h"

const int32_t CODEC_ROWS[CODEC_LEVELS + 1] = {20, 10, 5, 3};

enum { FILM_HIDDEN = 32, SIZES = 15, FRAMES_PER_SECOND = 100, MOST = 1 << 16 };

enum { POWER_TOKEN, POWER_SESSION, POWER_HELD }; /* what a file says of the power of symbols */

static void fail(ae_loader *loader)
{
    loader->error = AETHER_ERROR_WEIGHTS;
}

static int within(int32_t value, int32_t least, int32_t most)
{
    return value >= least && value <= most;
}

/* "codec.sizes" and what follows from them; 0 where they are not those of a codec. */
static int load_sizes(ae_codec *codec, ae_loader *loader)
{
    const int32_t *size = ae_load_values(loader, "codec.sizes", AE_INT32, SIZES, 1);
    if (!size)
        return 0;
    codec->frames = size[0];
    codec->width = size[1];
    codec->hidden = size[2];
    codec->pairs = size[3];
    codec->lookahead = size[4];
    codec->bits = size[5];
    codec->linear = size[6];
    codec->long_term = size[7] != POWER_TOKEN;
    codec->holds = size[7] == POWER_HELD;
    codec->encoder_blocks = size[8];
    codec->decoder_blocks = size[9];
    codec->default_rate = size[10];
    memcpy(codec->channels, size + 11, sizeof codec->channels);
    for (int i = 0; i <= CODEC_LEVELS; i++)
        if (!within(codec->channels[i], 1, MOST))
            return 0;
    for (int i = 4; i < 8; i++)
        if (!within(size[i], 0, i == 7 ? POWER_HELD : 1))
            return 0;
    for (int i = 0, left = codec->frames; i < CODEC_LEVELS; left /= codec->strides[i++])
        codec->strides[i] = left > 1 ? 2 : 1;
    return (codec->frames == 2 || codec->frames == 4 || codec->frames == 8) && within(codec->width, 1, MOST) &&
           within(codec->hidden, 1, MOST) && within(codec->pairs, 1, MOST) &&
           within(codec->encoder_blocks, 0, CODEC_MOST_BLOCKS) && within(codec->decoder_blocks, 0, CODEC_MOST_BLOCKS);
}

static void load_rates(ae_codec *codec, ae_loader *loader)
{
    ae_section section = {0};
    if (!ae_find(loader->file, "codec.rates", &section) || section.kind != AE_INT32 || section.columns != 1 ||
        section.rows > CODEC_MOST_RATES) {
        fail(loader);
        return;
    }
    codec->rate_count = section.rows;
    memcpy(codec->rates, section.data, (size_t)section.rows * sizeof *codec->rates);
    int32_t most = codec->bits ? 2 * codec->pairs : codec->pairs;
    for (int32_t i = 0; i < codec->rate_count; i++)
        if (!within(codec->rates[i], FRAMES_PER_SECOND / codec->frames, 100000) ||
            ae_codec_elements(codec, codec->rates[i]) > most ||
            (codec->bits && ae_codec_elements(codec, codec->rates[i]) % 2))
            fail(loader);
    if (!loader->error && !ae_codec_elements(codec, codec->default_rate))
        fail(loader);
}

int32_t ae_codec_elements(const ae_codec *codec, int32_t rate)
{
    for (int32_t i = 0; i < codec->rate_count; i++)
        if (codec->rates[i] == rate)
            return rate * codec->frames / FRAMES_PER_SECOND;
    return 0;
}

static ae_dense layer(ae_loader *loader, const char *prefix, const char *name, int32_t outputs, int32_t inputs)
{
    char full[AE_NAME];
    return ae_load_dense(loader, ae_joined(full, prefix, name), outputs, inputs);
}

static const float *column(ae_loader *loader, const char *prefix, const char *name, int32_t rows)
{
    char full[AE_NAME];
    return ae_load_values(loader, ae_joined(full, prefix, name), AE_FLOAT32, rows, 1);
}

/* "prefix.name" and a number from 0 to 15. */
static const char *numbered(char text[AE_NAME], const char *prefix, const char *name, int number)
{
    ae_joined(text, prefix, name);
    size_t end = strlen(text);
    if (number >= 10 && end < AE_NAME - 2)
        text[end++] = (char)('0' + number / 10);
    text[end++] = (char)('0' + number % 10);
    text[end] = 0;
    return text;
}

static ae_film load_film(ae_loader *loader, const char *name, int32_t conditions, int32_t width)
{
    ae_film film;
    film.inner = layer(loader, name, "inner", FILM_HIDDEN, conditions);
    film.outer = layer(loader, name, "outer", 2 * width, FILM_HIDDEN);
    return film;
}

static void load_blocks(const ae_codec *codec, ae_loader *loader, const char *prefix, ae_block *blocks, int32_t count)
{
    int32_t width = codec->width;
    for (int32_t i = 0; i < count; i++) {
        char name[AE_NAME];
        numbered(name, prefix, "block", i);
        blocks[i].norm_time = column(loader, name, "norm_time", width);
        blocks[i].norm_mlp = column(loader, name, "norm_mlp", width);
        blocks[i].gru_input = layer(loader, name, "gru_input", 3 * width, width);
        blocks[i].gru_state = layer(loader, name, "gru_state", 3 * width, width);
        blocks[i].expand = layer(loader, name, "expand", 2 * codec->hidden, width);
        blocks[i].contract = layer(loader, name, "contract", width, codec->hidden);
    }
}

static ae_residual load_residual(ae_loader *loader, const char *prefix, int level, int32_t channels)
{
    char name[AE_NAME];
    ae_residual residual;
    numbered(name, prefix, "residual", level);
    residual.conv = layer(loader, name, "conv", channels, 9 * channels);
    residual.point = layer(loader, name, "point", channels, channels);
    return residual;
}

static void load_encoder(ae_codec *codec, ae_loader *loader)
{
    const int32_t *channels = codec->channels, width = codec->width, patch = AETHER_FEATURES * codec->frames;
    codec->encoder.rows = layer(loader, "enc", "rows", AETHER_FEATURES, AETHER_FEATURES);
    codec->encoder.stem = layer(loader, "enc", "stem", channels[0], 9);
    codec->encoder.row_bias = ae_load_values(loader, "enc.row_bias", AE_FLOAT32, CODEC_ROWS[0], channels[0]);
    for (int i = 0; i < CODEC_LEVELS; i++) {
        char name[AE_NAME];
        int32_t kernel = (i == CODEC_LEVELS - 1 ? 3 : 4) * 2 * codec->strides[i];
        codec->encoder.down[i] = ae_load_dense(loader, numbered(name, "enc", "down", i), channels[i + 1], kernel * channels[i]);
        codec->encoder.residual[i] = load_residual(loader, "enc", i, channels[i + 1]);
    }
    codec->encoder.project = layer(loader, "enc", "project", width, CODEC_ROWS[CODEC_LEVELS] * channels[CODEC_LEVELS] + patch);
    load_blocks(codec, loader, "enc", codec->encoder.block, codec->encoder_blocks);
    codec->encoder.norm = column(loader, "enc", "norm", width);
    codec->encoder.film = load_film(loader, "enc.film", CODEC_CONDITIONS_IN, width);
    codec->encoder.expand = layer(loader, "enc", "expand", 2 * width, width);
    codec->encoder.latents = layer(loader, "enc", "latents", 2 * codec->pairs, 3 * width + (codec->linear ? patch : 0));
}

static void load_decoder(ae_codec *codec, ae_loader *loader)
{
    const int32_t *channels = codec->channels, width = codec->width, inputs = 3 * codec->pairs;
    codec->decoder.expand = layer(loader, "dec", "expand", 2 * width, inputs);
    codec->decoder.film_hidden = load_film(loader, "dec.film_hidden", CODEC_CONDITIONS_OUT, 2 * width);
    codec->decoder.tokens = layer(loader, "dec", "tokens", width, inputs + 2 * width);
    codec->decoder.film_token = load_film(loader, "dec.film_token", CODEC_CONDITIONS_OUT, width);
    if (codec->lookahead)
        codec->decoder.ahead = layer(loader, "dec", "ahead", width, width);
    load_blocks(codec, loader, "dec", codec->decoder.block, codec->decoder_blocks);
    codec->decoder.norm = column(loader, "dec", "norm", width);
    codec->decoder.project = layer(loader, "dec", "project", CODEC_ROWS[CODEC_LEVELS] * channels[CODEC_LEVELS], width);
    for (int i = 0; i < CODEC_LEVELS; i++) {
        char name[AE_NAME];
        int level = CODEC_LEVELS - 1 - i;
        int32_t kernel = (i == 0 ? 3 : 4) * codec->strides[level];
        codec->decoder.residual[i] = load_residual(loader, "dec", i, channels[level + 1]);
        codec->decoder.up[i] = ae_load_dense(loader, numbered(name, "dec", "up", i), kernel * channels[level], channels[level + 1]);
    }
    codec->decoder.out = layer(loader, "dec", "out", 1, 9 * channels[0]);
    codec->decoder.patch = layer(loader, "dec", "patch", AETHER_FEATURES * codec->frames,
                                 width + (codec->linear ? 2 * codec->pairs : 0));
    codec->decoder.features = layer(loader, "dec", "features", AETHER_FEATURES, AETHER_FEATURES);
}

void ae_codec_load(ae_codec *codec, ae_loader *loader)
{
    ae_section section;
    if (!load_sizes(codec, loader)) {
        fail(loader);
        return;
    }
    load_rates(codec, loader);
    if (codec->long_term || ae_find(loader->file, "codec.power", &section))
        codec->power = ae_load_values(loader, "codec.power", AE_FLOAT32, 2 * codec->pairs, 1);
    if (ae_find(loader->file, "codec.target_power", &section))
        codec->target_power = ae_load_values(loader, "codec.target_power", AE_FLOAT32, CODEC_TARGETS, 2 * codec->pairs);
    load_encoder(codec, loader);
    load_decoder(codec, loader);
}

static size_t greatest(size_t a, size_t b)
{
    return a > b ? a : b;
}

ae_codec_work ae_codec_take_work(const ae_codec *codec, ae_arena *arena)
{
    size_t frames = (size_t)codec->frames, image = 0, seen = 0, patches = 0;
    size_t width = (size_t)codec->width, pairs = (size_t)codec->pairs, hidden = (size_t)codec->hidden;
    for (int i = 0; i <= CODEC_LEVELS; i++) { /* no level has more frames than the token */
        size_t rows = (size_t)CODEC_ROWS[i], channels = (size_t)codec->channels[i];
        image = greatest(image, frames * rows * ae_padded(channels));
        seen = greatest(seen, (frames + 3) * (rows + 2) * channels);
        patches = greatest(patches, frames * rows * 16 * ae_padded(channels)); /* 9, 16 or 12 taps; 8 from above */
    }
    size_t project = (size_t)CODEC_ROWS[CODEC_LEVELS] * (size_t)codec->channels[CODEC_LEVELS] + AETHER_FEATURES * frames;
    size_t inputs = greatest(project, 3 * width + greatest(AETHER_FEATURES * frames, 3 * pairs));
    size_t rows = (AETHER_FEATURES + AE_OCTET) * frames; /* each padded */
    size_t wide = greatest(greatest(4 * width, 2 * hidden), rows);
    ae_codec_work work;
    work.image[0] = ae_take_floats(arena, greatest(image, rows));
    work.image[1] = ae_take_floats(arena, image);
    work.seen = ae_take_floats(arena, seen);
    work.patches = ae_take_floats(arena, patches);
    work.tokens = ae_take_floats(arena, ae_padded(2 * width));
    work.inputs = ae_take_floats(arena, inputs);
    work.wide[0] = ae_take_floats(arena, ae_padded(wide));
    work.wide[1] = ae_take_floats(arena, ae_padded(wide));
    work.conditioned = ae_take_floats(arena, ae_padded(greatest(width + 2 * pairs, rows)));
    return work;
}
