/* Answers the golden cases with the C99 library: a line of tokens in, a line of numbers out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgekit_processing.h"
#include "golden_spec.h"

#define MOST 120000
static float reals[MOST], more[MOST], tables[2048], work[2048];
static uint8_t bytes[MOST], scratch[MOST], pixels[MOST];
static int32_t taps[4096];
static union {
  float reals[MOST];
  uint8_t bytes[4 * MOST];
} values;
static ek_box found[1000];
static float anchors[100][4];

static FILE *in, *out;

static int integer(void) {
  int value = 0;
  if (fscanf(in, "%d", &value) != 1) exit(3);
  return value;
}

static float real(void) {
  float value = 0.0f;
  if (fscanf(in, "%f", &value) != 1) exit(4);
  return value;
}

static int read_reals(float *to) {
  int count = integer();
  if (count > MOST) exit(5);
  for (int k = 0; k < count; k++) to[k] = real();
  return count;
}

static void print(double value) { fprintf(out, "%.17g ", value); }

static void fit(void) {
  ek_picture picture;
  picture.height = integer(), picture.width = integer();
  picture.method = (ek_method)integer(), picture.color = (ek_color)integer();
  picture.crop = integer(), picture.channels_first = integer();
  int height = integer(), width = integer(), channels = integer();
  int count = picture.height * picture.width * (picture.color == EK_GRAYSCALE ? 1 : 3);
  for (int k = 0; k < height * width * channels; k++) bytes[k] = (uint8_t)integer();
  if (ek_scratch_size(&picture, height) > MOST || ek_taps(&picture, height, width) > 4096) exit(6);
  /* What the buffers need is what the library says: no byte more is written. */
  size_t size = ek_scratch_size(&picture, height);
  int most = ek_taps(&picture, height, width);
  scratch[size] = 0xA5, taps[most] = 0x5A5A5A5A, pixels[count] = 0x5A;
  if (ek_fit(&picture, bytes, height, width, channels, scratch, taps, pixels)) exit(7);
  if (scratch[size] != 0xA5 || taps[most] != 0x5A5A5A5A || pixels[count] != 0x5A) exit(8);
  for (int k = 0; k < count; k++) print(pixels[k]);
}

static double element(ek_dtype dtype, int at) {
  switch (dtype) {
    case EK_UINT8: return values.bytes[at];
    case EK_INT8: return ((int8_t *)values.bytes)[at];
    case EK_INT16: return ((int16_t *)values.bytes)[at];
    case EK_INT32: return ((int32_t *)values.bytes)[at];
    default: return (double)values.reals[at];
  }
}

static void encode(void) {
  float factors[8], offsets[8];
  ek_input input = {0};
  input.dtype = (ek_dtype)integer(), input.scale = real(), input.zero_point = integer();
  input.channels = integer(), input.channel_stride = integer();
  for (int k = 0; k < input.channels; k++) factors[k] = real();
  for (int k = 0; k < input.channels; k++) offsets[k] = real();
  input.factors = factors, input.offsets = offsets, input.size = read_reals(reals);
  int whole = 1;
  for (int k = 0; k < input.size; k++) {
    whole &= reals[k] >= 0.0f && reals[k] <= 255.0f && reals[k] == (float)(uint8_t)reals[k];
    bytes[k] = whole ? (uint8_t)reals[k] : 0;
  }
  if (whole) ek_encode_bytes(&input, bytes, &values);
  else ek_encode_floats(&input, reals, &values);
  for (int k = 0; k < input.size; k++) print(element(input.dtype, k));
}

static void decode(void) {
  ek_output output = {0};
  output.dtype = (ek_dtype)integer(), output.scale = real(), output.zero_point = integer();
  output.size = read_reals(more);
  for (int k = 0; k < output.size; k++) {
    switch (output.dtype) {
      case EK_UINT8: values.bytes[k] = (uint8_t)more[k]; break;
      case EK_INT8: ((int8_t *)values.bytes)[k] = (int8_t)more[k]; break;
      case EK_INT16: ((int16_t *)values.bytes)[k] = (int16_t)more[k]; break;
      case EK_INT32: ((int32_t *)values.bytes)[k] = (int32_t)more[k]; break;
      default: values.reals[k] = more[k]; break;
    }
  }
  ek_decode(&output, &values, reals);
  for (int k = 0; k < output.size; k++) print((double)reals[k]);
}

static void boxes(void) {
  static float scores[MOST], classes[1000], counts[1];
  ek_box_spec spec = {0};
  spec.layout = (ek_box_layout)integer(), spec.rows = integer(), spec.classes = integer();
  spec.box_row = integer(), spec.box_column = integer(), spec.score_start = integer();
  spec.score_row = integer(), spec.score_column = integer(), spec.objectness = integer();
  spec.sigmoid = integer(), spec.background = integer(), spec.suppress = integer();
  spec.width = real(), spec.height = real(), spec.score = real(), spec.iou = real();
  spec.largest = integer(), spec.candidates = integer();
  for (int k = 0; k < 4; k++) spec.scales[k] = real();
  int rows = integer();
  for (int k = 0; k < 4 * rows; k++) anchors[k / 4][k % 4] = real();
  if (rows) spec.anchors = (const float(*)[4])anchors;
  read_reals(reals), read_reals(scores);
  int classed = read_reals(classes), counted = read_reals(counts);
  int held = ek_read_boxes(&spec, reals, scores, classed ? classes : NULL, counted ? counts : NULL,
                           found);
  for (int k = 0; k < held; k++) {
    print((double)found[k].score), print(found[k].category);
    print((double)found[k].left), print((double)found[k].top);
    print((double)found[k].right), print((double)found[k].bottom);
  }
}

static void features(void) {
  ek_signal signal;
  signal.rate = integer(), signal.window = integer(), signal.stride = integer();
  signal.fft = integer(), signal.mels = integer(), signal.coefficients = integer();
  signal.power = integer(), signal.low = real(), signal.high = real(), signal.floor = real();
  int samples = read_reals(reals), wanted = signal.coefficients ? signal.coefficients : signal.mels;
  ek_prepare_signal(&signal, tables);
  for (int at = 0; at + signal.window <= samples; at += signal.stride) {
    ek_features(&signal, tables, reals + at, work, more);
    for (int k = 0; k < wanted; k++) print((double)more[k]);
  }
}

/* The generated constants, as the test expects them. */
static void constants(void) {
  const ek_input *input = &golden_input_0;
  const ek_output *output = &golden_output_0;
  print(input->size), print(input->dtype), print((double)input->scale), print(input->zero_point);
  print(input->channel_stride);
  for (int k = 0; k < input->channels; k++) print((double)input->factors[k]);
  for (int k = 0; k < input->channels; k++) print((double)input->offsets[k]);
  print(input->picture->height), print(input->picture->width), print(input->picture->color);
  print(input->picture->method), print(input->picture->crop);
  print(input->picture->channels_first);
  print(output->size), print(output->dtype), print((double)output->scale);
  print(output->zero_point), print(output->activation);
  print(golden_boxes.rows), print((double)golden_boxes.iou), print(golden_boxes.candidates);
  print((double)golden_boxes.anchors[1][3]);
  print(golden_signal.fft), print((double)golden_signal.floor);
  for (int k = 0; k < GOLDEN_LABELS; k++) {
    for (const char *at = golden_labels[k]; *at; at++) print((unsigned char)*at);
  }
}

int main(void) {
  char command[16];
  in = fopen("cases.txt", "r");
  out = fopen("answers.txt", "w");
  if (!in || !out) return 2;
  while (fscanf(in, "%15s", command) == 1) {
    if (!strcmp(command, "fit")) fit();
    else if (!strcmp(command, "encode")) encode();
    else if (!strcmp(command, "decode")) decode();
    else if (!strcmp(command, "boxes")) boxes();
    else if (!strcmp(command, "features")) features();
    else if (!strcmp(command, "constants")) constants();
    else if (!strcmp(command, "activate")) {
      ek_activation activation = (ek_activation)integer();
      int count = read_reals(reals);
      ek_activate(activation, reals, count);
      for (int k = 0; k < count; k++) print((double)reals[k]);
    } else if (!strcmp(command, "top")) {
      int places[32], limit = integer(), count = read_reals(reals);
      int held = ek_top(reals, count, limit, places);
      for (int k = 0; k < held; k++) print(places[k]);
    } else {
      return 9;
    }
    fprintf(out, "\n");
  }
  return fclose(out) ? 10 : 0;
}
