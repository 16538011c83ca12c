/* The file of native weights: little-endian, every part on a multiple of 64 bytes.
 *
 *   0   8  "AETHERNW"
 *   8   4  version of the format, 1
 *  12   4  number of sections
 *  16   8  bytes of the file
 *  24   8  zero
 *  32  32  SHA-256 of bytes 0..31 and of all from byte 64 on
 *  64      table of sections, 64 bytes each, then their data in the order of the table
 *
 * A section of the table:
 *
 *   0  40  name in ASCII, filled up with zeros
 *  40   4  kind of its values (ae_kind)
 *  44   4  rows (of a matrix: outputs)
 *  48   4  columns (of a matrix: inputs)
 *  52   4  zero
 *  56   8  place of the data in the file
 *
 * A dense layer X has a section X (a matrix in panels, see kernels.h), and may have X.scale and X.bias, [outputs, 1]. */
#ifndef AETHER_WEIGHTS_H
#define AETHER_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

enum { AE_HEADER = 64, AE_ENTRY = 64, AE_NAME = 40, AE_FORMAT = 1 };

typedef enum {
    AE_FLOAT32 = 1, /* values row by row */
    AE_INT32 = 2,
    AE_PANELS_F32 = 3, /* matrices in panels */
    AE_PANELS_F16 = 4,
    AE_PANELS_I8 = 5,
} ae_kind;

typedef struct {
    ae_kind kind;
    int32_t rows, columns;
    const void *data;
} ae_section;

typedef struct {
    const uint8_t *bytes;
    uint32_t sections;
    const uint8_t *digest; /* of 32 bytes, as the file says */
} ae_file;

/* Check the head and the table of a file; an error code. Whatever ae_find then returns lies within it. */
int ae_file_open(ae_file *file, const void *bytes, size_t size);

/* Whether the checksum of a file that is open fits; an error code. */
int ae_file_check(const ae_file *file, size_t size);

/* Whether there is a section of this name; it is written to *section. */
int ae_find(const ae_file *file, const char *name, ae_section *section);

#endif
