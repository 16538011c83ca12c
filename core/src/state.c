#include "state.h"

#include "maths.h"
#include "sha256.h"

enum { HEAD = 64, VERSION = 2, ID = 8 };

static const char MAGIC[8] = {'A', 'E', 'T', 'H', 'E', 'R', 'S', 'T'};

static void write_head(const ae_state *state, uint8_t head[HEAD - AE_DIGEST])
{
    uint32_t version = VERSION, kind = (uint32_t)state->kind;
    uint64_t size = ae_saved_bytes(state);
    memcpy(head, MAGIC, sizeof MAGIC);
    memcpy(head + 8, &version, sizeof version);
    memcpy(head + 12, &kind, sizeof kind);
    memcpy(head + 16, &size, sizeof size);
    memcpy(head + 24, state->id, ID);
}

size_t ae_saved_bytes(const ae_state *state)
{
    return HEAD + ae_state_bytes(state);
}

int ae_save(const ae_state *state, void *saved, size_t bytes)
{
    uint8_t *out = saved;
    if (!saved)
        return AETHER_ERROR_ARGUMENT;
    if (bytes < ae_saved_bytes(state))
        return AETHER_ERROR_MEMORY;
    write_head(state, out);
    memcpy(out + HEAD, state->values, ae_state_bytes(state));
    ae_sha256(out, HEAD - AE_DIGEST, out + HEAD, ae_state_bytes(state), out + HEAD - AE_DIGEST);
    return AETHER_OK;
}

/* Whether every value may be one of such a stream: whole numbers within their limits, others finite. */
static int plausible(const ae_state *state, const uint8_t *values)
{
    for (int32_t i = 0; i < state->whole; i++, values += sizeof(int32_t)) {
        int32_t number;
        memcpy(&number, values, sizeof number);
        if (number < state->limits[i][0] || number > state->limits[i][1])
            return 0;
    }
    for (size_t i = 0; i < state->doubles; i++, values += sizeof(double)) {
        double number;
        memcpy(&number, values, sizeof number);
        if (!(fabs(number) < 1e100))
            return 0;
    }
    for (size_t i = 0; i < state->floats; i++, values += sizeof(float)) {
        float number;
        memcpy(&number, values, sizeof number);
        if (!(fabsf(number) < 1e36f))
            return 0;
    }
    return 1;
}

int ae_load(const ae_state *state, const void *saved, size_t bytes)
{
    const uint8_t *given = saved;
    uint8_t head[HEAD - AE_DIGEST], digest[AE_DIGEST];
    if (!saved)
        return AETHER_ERROR_ARGUMENT;
    if (bytes < HEAD || memcmp(given, MAGIC, sizeof MAGIC) != 0)
        return AETHER_ERROR_STATE;
    write_head(state, head);
    if (memcmp(given + 8, head + 8, 4) != 0)
        return AETHER_ERROR_VERSION;
    ae_sha256(given, HEAD - AE_DIGEST, given + HEAD, bytes - HEAD, digest);
    if (memcmp(given + HEAD - AE_DIGEST, digest, AE_DIGEST) != 0)
        return AETHER_ERROR_DAMAGED;
    if (memcmp(given, head, sizeof head) != 0 || bytes != ae_saved_bytes(state) || !plausible(state, given + HEAD))
        return AETHER_ERROR_STATE;
    memcpy(state->values, given + HEAD, ae_state_bytes(state));
    return AETHER_OK;
}
