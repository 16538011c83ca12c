#include "bottleneck.h"
#include "voice.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#if !defined(_MSC_VER)
#error "libaether needs a little-endian machine"
#endif
#endif

int aether_version(void)
{
    return 10000 * AETHER_VERSION_MAJOR + 100 * AETHER_VERSION_MINOR + AETHER_VERSION_PATCH;
}

const char *aether_error_text(int code)
{
    switch (code) {
    case AETHER_OK: return "no error";
    case AETHER_ERROR_ARGUMENT: return "a pointer is NULL, or a number is out of its range";
    case AETHER_ERROR_MEMORY: return "too little memory, or memory not aligned to 64 bytes";
    case AETHER_ERROR_NOT_WEIGHTS: return "not a file of native weights (NAME.aether)";
    case AETHER_ERROR_VERSION: return "of another version of the format than this library reads";
    case AETHER_ERROR_DAMAGED: return "cut short or changed: its checksum does not fit";
    case AETHER_ERROR_WEIGHTS: return "weights are missing, or their sizes do not fit each other";
    case AETHER_ERROR_KERNELS: return "this machine has no such set of kernels";
    case AETHER_ERROR_MISSING: return "the weights hold no network for this";
    case AETHER_ERROR_VALUE: return "a value is not finite, or far out of range";
    case AETHER_ERROR_STATE: return "no state of such a stream, or one of other weights";
    default: return "unknown error";
    }
}

/* Fill *model from a file, with what else it needs from the arena; the tables of the features stay empty. */
static int load(aether_model *model, ae_arena *arena, const void *file, size_t file_bytes, const char *kernels)
{
    ae_file opened;
    ae_section section;
    memset(model, 0, sizeof *model);
    model->kernels = ae_kernels_find(kernels);
    if (!model->kernels)
        return AETHER_ERROR_KERNELS;
    int error = ae_file_open(&opened, file, file_bytes);
    if (error)
        return error;
    memcpy(model->id, opened.digest, sizeof model->id);
    model->front = ae_take(arena, sizeof *model->front);
    ae_loader loader = {&opened, model->kernels, arena, AETHER_OK};
    if (ae_find(&opened, "fargan.cond_in", &section)) {
        model->vocoder = AE_FARGAN;
        ae_fargan_load(&model->fargan, &loader);
    } else if (ae_find(&opened, "hnsf.first", &section)) {
        model->vocoder = AE_HNSF;
        ae_hnsf_load(&model->hnsf, &loader);
    }
    model->has_codec = ae_find(&opened, "codec.sizes", &section);
    if (model->has_codec && !loader.error)
        ae_codec_load(&model->codec, &loader);
    return loader.error;
}

int aether_model_size(const void *file, size_t file_bytes, const char *kernels, size_t *bytes)
{
    aether_model model;
    ae_arena counted = {NULL, 0};
    if (!file || !bytes)
        return AETHER_ERROR_ARGUMENT;
    ae_take(&counted, sizeof model);
    int error = load(&model, &counted, file, file_bytes, kernels);
    if (!error)
        *bytes = counted.used;
    return error;
}

int aether_model_init(void *memory, size_t bytes, const void *file, size_t file_bytes, const char *kernels,
                      aether_model **model)
{
    size_t needed;
    if (!model)
        return AETHER_ERROR_ARGUMENT;
    int error = aether_model_size(file, file_bytes, kernels, &needed);
    if (!error)
        error = ae_check_memory(memory, bytes, needed);
    if (error)
        return error;
    ae_arena arena = {memory, 0};
    aether_model *made = ae_take(&arena, sizeof *made);
    ae_file opened;
    error = ae_file_open(&opened, file, file_bytes);
    if (!error)
        error = ae_file_check(&opened, file_bytes);
    if (!error)
        error = load(made, &arena, file, file_bytes, kernels);
    if (error)
        return error;
    ae_front_tables_make(made->front);
    if (made->vocoder == AE_HNSF)
        ae_hnsf_tables_make(&made->hnsf, made->front);
    *model = made;
    return AETHER_OK;
}

const char *aether_model_kernels(const aether_model *model)
{
    return model->kernels->name;
}

int aether_model_info(const aether_model *model, aether_info *info)
{
    if (!model || !info)
        return AETHER_ERROR_ARGUMENT;
    const ae_codec *codec = &model->codec;
    memset(info, 0, sizeof *info);
    info->has_vocoder = model->vocoder != AE_NO_VOCODER;
    info->vocoder_delay = ae_voice_delay(model);
    info->has_codec = model->has_codec;
    if (!model->has_codec)
        return AETHER_OK;
    info->bits = codec->bits;
    info->token_frames = codec->frames;
    info->lookahead = codec->lookahead;
    info->default_rate = codec->default_rate;
    for (int32_t i = 0; i < codec->rate_count; i++)
        info->rates[i] = codec->rates[i];
    info->has_target_powers = !codec->bits && (codec->target_power || !codec->long_term);
    return AETHER_OK;
}

size_t aether_token_floats(const aether_model *model, int rate)
{
    return model && model->has_codec ? (size_t)ae_token_floats(&model->codec, rate) : 0;
}
