/* Input conditioning: a Butterworth high-pass of 4th order, -3 dB at 48 Hz, against DC, hum and rumble. */

#include "front_end.h"
#include "maths.h"

enum { CUTOFF = 48 }; /* Hz */

void ae_condition_make(ae_front_tables *tables)
{
    double c, s;
    ae_turn(CUTOFF, 2 * AETHER_SAMPLE_RATE, &c, &s); /* the bilinear transform with its frequency warped */
    double k = s / c;
    for (int i = 0; i < FRONT_SECTIONS; i++) {
        ae_turn(2 * i + 1, 8 * FRONT_SECTIONS, &c, &s);
        double damping = 2.0 * s, norm = 1.0 + damping * k + k * k;
        tables->numerator[i][0] = tables->numerator[i][2] = 1.0 / norm;
        tables->numerator[i][1] = -2.0 / norm;
        tables->denominator[i][0] = 2.0 * (k * k - 1.0) / norm;
        tables->denominator[i][1] = (1.0 - damping * k + k * k) / norm;
    }
}

void ae_condition(const ae_front *front, double *sample)
{
    double value = *sample;
    for (int i = 0; i < FRONT_SECTIONS; i++) {
        const double *b = front->tables->numerator[i], *a = front->tables->denominator[i];
        double *memory = front->state->filter + 2 * i, out = b[0] * value + memory[0];
        memory[0] = ae_flushed_double(b[1] * value - a[0] * out + memory[1]);
        memory[1] = ae_flushed_double(b[2] * value - a[1] * out);
        value = out;
    }
    *sample = ae_flushed_double(value);
}
