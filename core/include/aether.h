/* libaether: speech over noisy channels in real time. Features, codec and vocoder as streams.
 *
 * Nothing is allocated: an object is made in memory that the caller provides (`_size` says how much, aligned to 64
 * bytes), and dropped by forgetting it. There are no globals. One model serves any number of streams, in any number of
 * threads; a stream is for one thread at a time. Speech is mono at 16 kHz, float, full scale 1. The same input gives
 * the same bits on every machine and with every set of kernels.
 *
 * Functions return AETHER_OK (0) or one of the negative codes below, and then have changed nothing that the caller can
 * see, unless they say so. No pointer may be NULL unless it says so. */
#ifndef AETHER_H
#define AETHER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(AETHER_API)
#if defined(_WIN32) && defined(AETHER_BUILD)
#define AETHER_API __declspec(dllexport)
#elif defined(_WIN32) && defined(AETHER_DLL)
#define AETHER_API __declspec(dllimport)
#elif defined(__GNUC__)
#define AETHER_API __attribute__((visibility("default")))
#else
#define AETHER_API
#endif
#endif

/* Programs made for one version run with every later one of the same major number (below 1: of the same minor). */
#define AETHER_VERSION_MAJOR 0
#define AETHER_VERSION_MINOR 2
#define AETHER_VERSION_PATCH 0

enum {
    AETHER_SAMPLE_RATE = 16000, /* Hz */
    AETHER_FRAME = 160,         /* samples of a frame, 10 ms */
    AETHER_FEATURES = 20,       /* values of a frame that codec and vocoder read */
    AETHER_ALIGNMENT = 64,      /* bytes */
};

enum {
    AETHER_OK = 0,
    AETHER_ERROR_ARGUMENT = -1,    /* a pointer is NULL, or a number out of its range */
    AETHER_ERROR_MEMORY = -2,      /* too little memory, or not aligned to 64 bytes */
    AETHER_ERROR_NOT_WEIGHTS = -3, /* not a file of native weights */
    AETHER_ERROR_VERSION = -4,     /* weights or a state of another version of the format */
    AETHER_ERROR_DAMAGED = -5,     /* weights or a state that are cut short or changed: the checksum does not fit */
    AETHER_ERROR_WEIGHTS = -6,     /* weights of sizes that do not fit each other */
    AETHER_ERROR_KERNELS = -7,     /* no such set of kernels on this machine */
    AETHER_ERROR_MISSING = -8,     /* the weights hold no such network */
    AETHER_ERROR_VALUE = -9,       /* a sample or another value is not finite, or far out of range */
    AETHER_ERROR_STATE = -10,      /* a saved state of another kind of stream, or of other weights */
};

/* The version of the library at hand: 10000 major + 100 minor + patch. */
AETHER_API int aether_version(void);

/* One line in English for a code. */
AETHER_API const char *aether_error_text(int code);

/* ---- Model: the weights of a file `NAME.aether`, made by `aether-lite export --native`. ---- */

typedef struct aether_model aether_model;

/* Bytes of memory for the model of a file in memory.
 *
 * file: file_bytes bytes, aligned to 64. It may come from anywhere: sizes are checked here, and the checksum when the
 * model is made.
 * kernels: "avx2", "sse2", "neon", "wasm" or "scalar"; NULL for the fastest of this machine.
 *
 * Matrices are used where they lie in the file, which may be mapped or in flash; only machines that cannot read float16
 * quickly widen them into the model's memory. */
AETHER_API int aether_model_size(const void *file, size_t file_bytes, const char *kernels, size_t *bytes);

/* Make the model in `memory` of `bytes`. It refers to the file, which must stay as it is for as long. */
AETHER_API int aether_model_init(void *memory, size_t bytes, const void *file, size_t file_bytes, const char *kernels,
                                 aether_model **model);

/* What a model can do. */
typedef struct {
    int has_vocoder;       /* 1 or 0 */
    int vocoder_delay;     /* samples that aether_vocoder_flush and aether_decoder_flush still give: 240 or 432 */
    int has_codec;         /* 1 or 0; what follows is of the codec */
    int bits;              /* 1: tokens are of bits; 0: of complex symbols */
    int token_frames;      /* frames of 10 ms in a token */
    int lookahead;         /* tokens that the decoder waits for, 0 or 1 */
    int default_rate;      /* uses/s or bit/s */
    int rates[16];         /* all that it serves, filled up with zeros */
    int has_target_powers; /* 1 where symbols can be designed for a target SNR */
} aether_info;

AETHER_API int aether_model_info(const aether_model *model, aether_info *info);

/* Floats of a token at a rate: I and Q of every symbol, or one for every bit; 0 for a rate that is not served. */
AETHER_API size_t aether_token_floats(const aether_model *model, int rate);

/* The set of kernels that a model uses. */
AETHER_API const char *aether_model_kernels(const aether_model *model);

/* ---- Features of speech: 36 values for each frame of 10 ms; codec and vocoder read the first 20. ---- */

typedef struct aether_features aether_features;

enum { AETHER_FEATURE_ROW = 36 }; /* cepstrum 0..17, pitch [octaves], frame correlation, LPC 1..16 */

/* Bytes of memory for a stream of features. */
AETHER_API size_t aether_features_size(const aether_model *model);

/* A new stream; `condition` is 1 for the high-pass of 48 Hz before codecs, 0 for samples as they are. */
AETHER_API int aether_features_init(void *memory, size_t bytes, const aether_model *model, int condition,
                                    aether_features **features);

/* Take up to `count` samples (finite, within 100 times full scale), `*used` of them, until a row is ready (*ready is 1).
 *
 * Row t is centred on sample 160 t and ready when 160 (t + 2) samples have come. */
AETHER_API int aether_features_push(aether_features *features, const float *samples, size_t count, size_t *used,
                                    float *row, int *ready);

/* End the stream: the row held back, if any; samples short of a frame are dropped. The stream is then as new. */
AETHER_API int aether_features_flush(aether_features *features, float *row, int *ready);

/* ---- Encoder: speech to tokens of symbols (mean power 1 over speech) or bits (+1 and -1). ---- */

typedef struct aether_encoder aether_encoder;

/* Bytes of memory for an encoder; 0 where the model has no codec. */
AETHER_API size_t aether_encoder_size(const aether_model *model);

/* A new stream at the default rate, for any channel; `condition` as for features (1 unless the speech is filtered). */
AETHER_API int aether_encoder_init(void *memory, size_t bytes, const aether_model *model, int condition,
                                   aether_encoder **encoder);

/* The rate [uses/s or bit/s] of the tokens that become ready from now on. */
AETHER_API int aether_encoder_set_rate(aether_encoder *encoder, int rate);

/* Es/N0 [dB] that symbols from now on are designed for, limited to -10..30; NULL for any channel. */
AETHER_API int aether_encoder_set_target(aether_encoder *encoder, const float *snr_db);

/* Take up to `count` samples, `*used` of them, until a token is ready (*ready is 1). token: room for
 * aether_token_floats. Token k is ready when 160 (token_frames (k + 1) + 1) samples have come. */
AETHER_API int aether_encoder_push(aether_encoder *encoder, const float *samples, size_t count, size_t *used,
                                   float *token, int *ready);

/* The same from features [token_frames, 20] of a whole token that were made elsewhere. */
AETHER_API int aether_encoder_push_features(aether_encoder *encoder, const float *features, float *token);

/* End the stream, the speech filled up with silence to a whole token: call until *ready is 0. It is then as new. */
AETHER_API int aether_encoder_flush(aether_encoder *encoder, float *token, int *ready);

/* ---- Decoder: received tokens to speech. ---- */

typedef struct aether_decoder aether_decoder;

/* A received token, of any values in any unit: the decoder divides by the root of a causal mean of the power gains over
 * 5 s. Values that cannot be erase their token: not finite, beyond 1e9, stronger than gain and noise explain, a noise
 * variance that is negative, infinite or beyond 1e18, soft bits out of range. */
typedef struct {
    const float *values;  /* y = h x + w as I and Q; or soft bits tanh(L/2) in -1..1 */
    const float *gain;    /* estimate of h for every symbol as I and Q; NULL, or NAN for all, where it is unknown */
    float noise_variance; /* estimate of N0; NAN where it is unknown */
    int lost;             /* 1: no symbols came; of the rest the noise variance alone is read */
} aether_received;

/* Bytes of memory for a decoder; 0 where the model has no codec. */
AETHER_API size_t aether_decoder_size(const aether_model *model);

/* A new stream at the default rate. mute: 1 for silence in long gaps and where nobody sends, 0 for whatever the
 * networks make of it. */
AETHER_API int aether_decoder_init(void *memory, size_t bytes, const aether_model *model, int mute,
                                   aether_decoder **decoder);

/* The rate [uses/s or bit/s] of the tokens that come. */
AETHER_API int aether_decoder_set_rate(aether_decoder *decoder, int rate);

/* Take a token; get `*count` samples, at most 160 token_frames, and `*rows` rows of 20 features.
 *
 * samples: NULL for features alone; features: NULL for samples alone. Without look-ahead a token gives its samples at
 * once, at first vocoder_delay less; with it each gives those of the token before, the first none. */
AETHER_API int aether_decoder_push(aether_decoder *decoder, const aether_received *token, float *samples,
                                   size_t *count, float *features, size_t *rows);

/* End the stream: the samples still to come, at most 160 token_frames + vocoder_delay, and rows. It is then as new. */
AETHER_API int aether_decoder_flush(aether_decoder *decoder, float *samples, size_t *count, float *features,
                                    size_t *rows);

/* 1 where the newest token is muted. */
AETHER_API int aether_decoder_muted(const aether_decoder *decoder);

/* ---- Vocoder: feature rows to speech. ---- */

typedef struct aether_vocoder aether_vocoder;

/* Bytes of memory for a vocoder; 0 where the model has none. */
AETHER_API size_t aether_vocoder_size(const aether_model *model);

/* A new stream in `memory` of `bytes`; the model must stay for as long. */
AETHER_API int aether_vocoder_init(void *memory, size_t bytes, const aether_model *model, aether_vocoder **vocoder);

/* Take the next `count` rows of 20 features (finite; more than +-1000 is refused); get `*made` new samples in [-1, 1].
 *
 * samples: room for 160 a row. The first rows give vocoder_delay samples less, and aether_vocoder_flush the last
 * vocoder_delay: F rows give 160 F samples, in line with the speech of the features, however they are cut into calls. */
AETHER_API int aether_vocoder_push(aether_vocoder *vocoder, const float *rows, size_t count, float *samples,
                                   size_t *made);

/* End the stream: the last samples (room for vocoder_delay), none if no row came. The vocoder is then as new. */
AETHER_API int aether_vocoder_flush(aether_vocoder *vocoder, float *samples, size_t *made);

/* ---- State of a stream, to be saved and taken up elsewhere; alike for every kind. ---- */

/* Bytes of a saved state: the same at every moment, on every machine, for the same weights. */
AETHER_API size_t aether_vocoder_state_size(const aether_vocoder *vocoder);

/* Write the state to `state`, aether_vocoder_state_size bytes. */
AETHER_API int aether_vocoder_save(const aether_vocoder *vocoder, void *state, size_t bytes);

/* Go on where the stream stood that saved `state`, to the bit; it may come from anywhere. On an error the stream is as
 * before. */
AETHER_API int aether_vocoder_load(aether_vocoder *vocoder, const void *state, size_t bytes);

AETHER_API size_t aether_features_state_size(const aether_features *features);
AETHER_API int aether_features_save(const aether_features *features, void *state, size_t bytes);
AETHER_API int aether_features_load(aether_features *features, const void *state, size_t bytes);

AETHER_API size_t aether_encoder_state_size(const aether_encoder *encoder);
AETHER_API int aether_encoder_save(const aether_encoder *encoder, void *state, size_t bytes);
AETHER_API int aether_encoder_load(aether_encoder *encoder, const void *state, size_t bytes);
AETHER_API size_t aether_decoder_state_size(const aether_decoder *decoder);
AETHER_API int aether_decoder_save(const aether_decoder *decoder, void *state, size_t bytes);
AETHER_API int aether_decoder_load(aether_decoder *decoder, const void *state, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
