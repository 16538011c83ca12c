#include "sha256.h"

#include <string.h>

enum { BLOCK = 64 };

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotated(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* One round; the values change their names and not their places. */
static inline void take_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g,
                              uint32_t *h, uint32_t word)
{
    uint32_t choice = (e & f) ^ (~e & g), most = (a & b) ^ (a & c) ^ (b & c);
    uint32_t sum = *h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + choice + word;
    *d += sum;
    *h = sum + (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + most;
}

static void take_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) + w[i - 7] +
               (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10);
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i += 8) {
        take_round(a, b, c, &d, e, f, g, &h, ROUND[i] + w[i]);
        take_round(h, a, b, &c, d, e, f, &g, ROUND[i + 1] + w[i + 1]);
        take_round(g, h, a, &b, c, d, e, &f, ROUND[i + 2] + w[i + 2]);
        take_round(f, g, h, &a, b, c, d, &e, ROUND[i + 3] + w[i + 3]);
        take_round(e, f, g, &h, a, b, c, &d, ROUND[i + 4] + w[i + 4]);
        take_round(d, e, f, &g, h, a, b, &c, ROUND[i + 5] + w[i + 5]);
        take_round(c, d, e, &f, g, h, a, &b, ROUND[i + 6] + w[i + 6]);
        take_round(b, c, d, &e, f, g, h, &a, ROUND[i + 7] + w[i + 7]);
    }
    const uint32_t after[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        state[i] += after[i];
}

void ae_sha256(const void *first, size_t first_bytes, const void *second, size_t second_bytes,
               uint8_t digest[AE_DIGEST])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t block[BLOCK];
    size_t filled = 0;
    const uint8_t *pieces[2] = {first, second};
    const size_t sizes[2] = {first_bytes, second_bytes};
    for (int piece = 0; piece < 2; piece++) {
        const uint8_t *data = pieces[piece];
        size_t left = sizes[piece];
        while (left) {
            if (filled == 0 && left >= BLOCK) {
                take_block(state, data);
                data += BLOCK;
                left -= BLOCK;
                continue;
            }
            size_t count = BLOCK - filled < left ? BLOCK - filled : left;
            memcpy(block + filled, data, count);
            filled += count, data += count, left -= count;
            if (filled == BLOCK) {
                take_block(state, block);
                filled = 0;
            }
        }
    }
    uint64_t bits = 8 * ((uint64_t)first_bytes + (uint64_t)second_bytes);
    block[filled++] = 0x80;
    if (filled > BLOCK - 8) {
        memset(block + filled, 0, BLOCK - filled);
        take_block(state, block);
        filled = 0;
    }
    memset(block + filled, 0, BLOCK - 8 - filled);
    for (int i = 0; i < 8; i++)
        block[BLOCK - 1 - i] = (uint8_t)(bits >> 8 * i);
    take_block(state, block);
    for (int i = 0; i < AE_DIGEST; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
