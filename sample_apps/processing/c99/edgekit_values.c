/* Rescale and quantize inputs, dequantize outputs, scores and the best of them. */
#include <math.h>

#include "edgekit_processing.h"

/* The range of an integer type. */
static void limits(ek_dtype dtype, float *low, float *high) {
  switch (dtype) {
    case EK_UINT8: *low = 0.0f; *high = 255.0f; break;
    case EK_INT8: *low = -128.0f; *high = 127.0f; break;
    case EK_INT16: *low = -32768.0f; *high = 32767.0f; break;
    /* The largest float below 2^31. */
    default: *low = -2147483648.0f; *high = 2147483520.0f; break;
  }
}

static void store(ek_dtype dtype, void *values, int at, float value) {
  if (dtype == EK_FLOAT32) {
    ((float *)values)[at] = value;
    return;
  }
  float low, high;
  limits(dtype, &low, &high);
  /* NaN becomes the lowest value. */
  if (!(value > low)) value = low;
  if (value > high) value = high;
  switch (dtype) {
    case EK_UINT8: ((uint8_t *)values)[at] = (uint8_t)value; break;
    case EK_INT8: ((int8_t *)values)[at] = (int8_t)value; break;
    case EK_INT16: ((int16_t *)values)[at] = (int16_t)value; break;
    default: ((int32_t *)values)[at] = (int32_t)value; break;
  }
}

static void encode(const ek_input *input, int at, float raw, void *values) {
  int channel = at / input->channel_stride % input->channels;
  /* Rounded on its own: a fused multiply-add gives other bits than the host had. */
  volatile float product = raw * input->factors[channel];
  float real = product + input->offsets[channel];
  if (input->scale != 0.0f) {
    /* rintf rounds halves to even. */
    real = rintf(real / input->scale) + (float)input->zero_point;
  }
  store(input->dtype, values, at, real);
}

void ek_encode_bytes(const ek_input *input, const uint8_t *raw, void *values) {
  for (int at = 0; at < input->size; at++) encode(input, at, (float)raw[at], values);
}

void ek_encode_floats(const ek_input *input, const float *raw, void *values) {
  for (int at = 0; at < input->size; at++) encode(input, at, raw[at], values);
}

static float load(ek_dtype dtype, const void *values, int at) {
  switch (dtype) {
    case EK_UINT8: return (float)((const uint8_t *)values)[at];
    case EK_INT8: return (float)((const int8_t *)values)[at];
    case EK_INT16: return (float)((const int16_t *)values)[at];
    case EK_INT32: return (float)((const int32_t *)values)[at];
    default: return ((const float *)values)[at];
  }
}

void ek_decode(const ek_output *output, const void *values, float *reals) {
  for (int at = 0; at < output->size; at++) {
    float value = load(output->dtype, values, at);
    if (output->scale != 0.0f) value = (value - (float)output->zero_point) * output->scale;
    reals[at] = value;
  }
}

static void softmax(float *values, int count) {
  float largest = values[0], sum = 0.0f;
  for (int at = 1; at < count; at++) {
    if (values[at] > largest) largest = values[at];
  }
  for (int at = 0; at < count; at++) {
    values[at] = expf(values[at] - largest);
    sum += values[at];
  }
  for (int at = 0; at < count; at++) values[at] /= sum;
}

void ek_activate(ek_activation activation, float *values, int count) {
  if (activation == EK_SOFTMAX && count > 0) softmax(values, count);
  if (activation == EK_SIGMOID) {
    for (int at = 0; at < count; at++) values[at] = 1.0f / (1.0f + expf(-values[at]));
  }
}

/* Whether score a at place i comes before score b at place j. */
static int comes_before(float a, int i, float b, int j) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b) ? i < j : isnan(b);
  return a > b || (a == b && i < j);
}

int ek_top(const float *scores, int count, int limit, int *places) {
  int written = 0;
  while (written < limit && written < count) {
    int best = -1;
    for (int at = 0; at < count; at++) {
      int last = written > 0 ? places[written - 1] : -1;
      if (last >= 0 && !comes_before(scores[last], last, scores[at], at)) continue;
      if (best < 0 || comes_before(scores[at], at, scores[best], best)) best = at;
    }
    places[written++] = best;
  }
  return written;
}
