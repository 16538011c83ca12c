/* SHA-256 (FIPS 180-4). */
#ifndef AETHER_SHA256_H
#define AETHER_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { AE_DIGEST = 32 };

/* Digest of two pieces, one after the other. */
void ae_sha256(const void *first, size_t first_bytes, const void *second, size_t second_bytes,
               uint8_t digest[AE_DIGEST]);

#endif
