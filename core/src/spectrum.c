/* Bark cepstrum of a window, and linear prediction from the cepstrum. */

#include "front_end.h"
#include "maths.h"

const int32_t AE_BAND_BINS[FRONT_BANDS] = {0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 136, 160};
static const double DENSITY[FRONT_BANDS] = {0.8, 1, 1, 1, 1, 1, 1, 1, 2.0 / 3, 0.5, 0.5, 0.5, 1.0 / 3, 0.25, 0.25, 0.2,
                                            1.0 / 6, 4.0 / 23};
static const double C0_OFFSET = 4.0, ENERGY_FLOOR = 0.01, START_LEVEL = -2.0, MAX_RANGE = 8.0, MAX_FALL = 2.5;
static const double FLOOR_RELATIVE = 1e-4, FLOOR = 26.0 / 38.0, LAG_WINDOW = 6e-5, STOP_ERROR = 0.001;
static const double LN_10 = 2.302585092994046;

void ae_spectrum_make(ae_front_tables *tables)
{
    double c, s;
    ae_fft_make(&tables->fft, FRONT_WINDOW);
    const int64_t fine = 1000000000000000; /* an angle in steps of 1e-15 of a quarter */
    for (int i = 0; i < AETHER_FRAME; i++) { /* sin(pi/2 sin^2(pi/2 (i + 1/2) / 160)) */
        ae_turn(2 * i + 1, 8 * AETHER_FRAME, &c, &s);
        ae_turn((int64_t)(s * s * (double)fine), 4 * fine, &c, &s);
        tables->window[i] = tables->window[FRONT_WINDOW - 1 - i] = s;
    }
    for (int band = 0; band + 1 < FRONT_BANDS; band++)
        for (int bin = AE_BAND_BINS[band]; bin < AE_BAND_BINS[band + 1]; bin++) {
            double rising = (double)(bin - AE_BAND_BINS[band]) / (AE_BAND_BINS[band + 1] - AE_BAND_BINS[band]);
            tables->rising[bin] = rising;
            tables->falling[bin] = 1.0 - rising;
        }
    for (int i = 0; i < FRONT_BANDS; i++)
        for (int j = 0; j < FRONT_BANDS; j++) {
            ae_turn(i * (2 * j + 1), 4 * FRONT_BANDS, &c, &s);
            tables->dct[i][j] = sqrt(2.0 / FRONT_BANDS) * (i ? c : sqrt(0.5));
        }
    for (int band = 0; band < FRONT_BANDS; band++)
        for (int lag = 0; lag <= FRONT_LPC; lag++) {
            double sum = 0.0;
            for (int bin = 0; bin < AETHER_FRAME; bin++) {
                double share = 0.0;
                if (band + 1 < FRONT_BANDS && bin >= AE_BAND_BINS[band] && bin < AE_BAND_BINS[band + 1])
                    share = tables->falling[bin];
                if (band > 0 && bin >= AE_BAND_BINS[band - 1] && bin < AE_BAND_BINS[band])
                    share = tables->rising[bin];
                ae_turn(bin * lag, FRONT_WINDOW, &c, &s);
                sum += (bin ? 2.0 : 1.0) * share * c;
            }
            tables->autocorrelation[band][lag] = sum;
        }
}

static void band_energies(const ae_front_tables *tables, const ae_kernels *kernels, const double *window, double energies[FRONT_BANDS])
{
    double weighted[FRONT_WINDOW], re[AETHER_FRAME], im[AETHER_FRAME];
    for (int i = 0; i < FRONT_WINDOW; i++)
        weighted[i] = window[i] * tables->window[i] * (1.0 / FRONT_WINDOW);
    ae_fft_real(&tables->fft, kernels, weighted, re, im);
    memset(energies, 0, FRONT_BANDS * sizeof *energies);
    for (int band = 0; band + 1 < FRONT_BANDS; band++) {
        double below = 0.0, above = 0.0;
        for (int bin = AE_BAND_BINS[band]; bin < AE_BAND_BINS[band + 1]; bin++) {
            double power = re[bin] * re[bin] + im[bin] * im[bin];
            below += power * tables->falling[bin];
            above += power * tables->rising[bin];
        }
        energies[band] += below;
        energies[band + 1] += above;
    }
    energies[0] *= 2.0;
    energies[FRONT_BANDS - 1] *= 2.0;
}

static double greater(double a, double b)
{
    return a > b ? a : b;
}

void ae_cepstrum(const ae_front_tables *tables, const ae_kernels *kernels, const double window[FRONT_WINDOW],
                 double cepstrum[FRONT_BANDS])
{
    double levels[FRONT_BANDS], largest = START_LEVEL, follower = START_LEVEL;
    band_energies(tables, kernels, window, levels);
    for (int band = 0; band < FRONT_BANDS; band++) {
        double level = ae_log10_double(ENERGY_FLOOR + levels[band]);
        level = greater(level, greater(largest - MAX_RANGE, follower - MAX_FALL));
        levels[band] = level;
        largest = greater(largest, level);
        follower = greater(follower - MAX_FALL, level);
    }
    for (int i = 0; i < FRONT_BANDS; i++) {
        double sum = 0.0;
        for (int band = 0; band < FRONT_BANDS; band++)
            sum += tables->dct[i][band] * levels[band];
        cepstrum[i] = i ? sum : sum - C0_OFFSET;
    }
}

static void levinson(const double r[FRONT_LPC + 1], double a[FRONT_LPC])
{
    double error = r[0];
    memset(a, 0, FRONT_LPC * sizeof *a);
    for (int i = 0; i < FRONT_LPC && error >= STOP_ERROR * r[0]; i++) {
        double sum = r[i + 1];
        for (int j = 0; j < i; j++)
            sum += a[j] * r[i - j];
        double reflection = -sum / error;
        for (int j = 0; j < (i + 1) / 2; j++) {
            double front = a[j], back = a[i - 1 - j];
            a[j] = front + reflection * back;
            a[i - 1 - j] = back + reflection * front;
        }
        a[i] = reflection;
        error -= reflection * reflection * error;
    }
}

void ae_lpc(const ae_front_tables *tables, const double cepstrum[FRONT_BANDS], double lpc[FRONT_LPC])
{
    double density[FRONT_BANDS], r[FRONT_LPC + 1];
    for (int band = 0; band < FRONT_BANDS; band++) {
        double level = tables->dct[0][band] * (cepstrum[0] + C0_OFFSET);
        for (int i = 1; i < FRONT_BANDS; i++)
            level += tables->dct[i][band] * cepstrum[i];
        density[band] = ae_exp_double(LN_10 * level) * DENSITY[band];
    }
    for (int lag = 0; lag <= FRONT_LPC; lag++) {
        r[lag] = 0.0;
        for (int band = 0; band < FRONT_BANDS; band++)
            r[lag] += density[band] * tables->autocorrelation[band][lag];
        r[lag] *= lag ? 1.0 - LAG_WINDOW * lag * lag : 1.0 + FLOOR_RELATIVE;
    }
    r[0] += FLOOR;
    levinson(r, lpc);
}
