/* Log-mel features and MFCC of one window of samples, by the rule of tf.signal. */
#include <math.h>
#include <string.h>

#include "edgekit_processing.h"

static const float PI = 3.14159265358979f;

static float mel_of(float hertz) { return 1127.0f * logf(1.0f + hertz / 700.0f); }

/* The tables: the window's weights, then for every bin of the spectrum where it lies among the
   edges of the mel bands. */
void ek_prepare_signal(const ek_signal *signal, float *tables) {
  float low = mel_of(signal->low), step = (mel_of(signal->high) - low) / (float)(signal->mels + 1);
  for (int at = 0; at < signal->window; at++) {
    tables[at] = 0.5f - 0.5f * cosf(2.0f * PI * (float)at / (float)signal->window);
  }
  for (int bin = 0; bin <= signal->fft / 2; bin++) {
    float hertz = (float)signal->rate * (float)bin / (float)signal->fft;
    tables[signal->window + bin] = (mel_of(hertz) - low) / step;
  }
}

static void swap(float *values, int a, int b) {
  for (int k = 0; k < 2; k++) {
    float kept = values[2 * a + k];
    values[2 * a + k] = values[2 * b + k];
    values[2 * b + k] = kept;
  }
}

/* The discrete Fourier transform of n complex numbers, in place; n is a power of two. */
static void transform(float *values, int n) {
  for (int at = 1, mirrored = 0; at < n; at++) {
    int bit = n >> 1;
    for (; mirrored & bit; bit >>= 1) mirrored ^= bit;
    mirrored |= bit;
    if (at < mirrored) swap(values, at, mirrored);
  }
  for (int half = 1; half < n; half *= 2) {
    for (int k = 0; k < half; k++) {
      float angle = PI * (float)k / (float)half, re = cosf(angle), im = -sinf(angle);
      for (int at = k; at < n; at += 2 * half) {
        float *a = values + 2 * at, *b = values + 2 * (at + half);
        float x = re * b[0] - im * b[1], y = re * b[1] + im * b[0];
        b[0] = a[0] - x, b[1] = a[1] - y;
        a[0] += x, a[1] += y;
      }
    }
  }
}

/* Add what a bin of the spectrum has to the two mel bands whose triangles it lies in. */
static void add_to_bands(const ek_signal *signal, float position, float energy, float *bands) {
  if (!(position >= 0.0f) || position >= (float)(signal->mels + 1)) return;
  int rising = (int)position;
  float share = position - (float)rising;
  if (rising < signal->mels) bands[rising] += share * energy;
  if (rising > 0) bands[rising - 1] += (1.0f - share) * energy;
}

void ek_features(const ek_signal *signal, const float *tables, const float *samples, float *work,
                 float *features) {
  float *bands = work + 2 * signal->fft;
  memset(work, 0, sizeof(float) * (size_t)EK_WORK(signal->fft, signal->mels));
  for (int at = 0; at < signal->window; at++) work[2 * at] = samples[at] * tables[at];
  transform(work, signal->fft);
  for (int bin = 1; bin <= signal->fft / 2; bin++) { /* without the mean */
    float energy = work[2 * bin] * work[2 * bin] + work[2 * bin + 1] * work[2 * bin + 1];
    if (signal->power == 1) energy = sqrtf(energy);
    add_to_bands(signal, tables[signal->window + bin], energy, bands);
  }
  for (int band = 0; band < signal->mels; band++) bands[band] = logf(bands[band] + signal->floor);
  if (!signal->coefficients) {
    memcpy(features, bands, sizeof(float) * (size_t)signal->mels);
    return;
  }
  for (int k = 0; k < signal->coefficients; k++) { /* the cosine transform of type II */
    float sum = 0.0f;
    for (int band = 0; band < signal->mels; band++) {
      sum += bands[band] * cosf(PI * (float)(k * (2 * band + 1)) / (float)(2 * signal->mels));
    }
    features[k] = sum * sqrtf(2.0f / (float)signal->mels);
  }
}
