/* Colours, size and layout of a picture: to the bit what Pillow's resize gives.

   Every pixel of the result is a weighted sum of the source's pixels that the filter covers. The
   filter widens with the reduction, so pictures are antialiased. Weights are whole numbers of
   2^-22, and each of the two passes, horizontal then vertical, rounds to 8 bits. */
#include <math.h>

#include "edgekit_processing.h"

#define WEIGHT_BITS 22
static const double PI = 3.14159265358979323846;
static const double SUPPORTS[] = {0.0, 0.5, 1.0, 1.0, 2.0, 3.0};

static double sinc(double x) { return x == 0.0 ? 1.0 : sin(x * PI) / (x * PI); }

static double filter(ek_method method, double x) {
  if (method == EK_AREA) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  if (method == EK_LANCZOS) return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
  x = fabs(x);
  switch (method) {
    case EK_BILINEAR: return x < 1.0 ? 1.0 - x : 0.0;
    case EK_HAMMING:
      if (x == 0.0) return 1.0;
      return x < 1.0 ? sinc(x) * (0.54 + 0.46 * cos(x * PI)) : 0.0;
    default: /* bicubic, with a = -1/2 */
      if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0.0;
  }
}

/* A side of the picture: `from` pixels are scaled to `to`, and `start` is where the cut begins. */
typedef struct {
  ek_method method;
  int from, to, start;
} side;

/* The source pixel of pixel `at`: the step is added, because a product rounds otherwise. */
static int nearest(const side *axis, int at) {
  double step = (double)axis->from / axis->to, position = step * 0.5;
  for (int k = 0; k < at; k++) position += step;
  return (int)position;
}

/* Write the weights of pixel `at` to taps, and return its first source pixel. */
static int weigh(const side *axis, int at, int32_t *taps, int *count) {
  if (axis->from == axis->to || axis->method == EK_NEAREST) {
    taps[0] = 1 << WEIGHT_BITS;
    *count = 1;
    return axis->from == axis->to ? at : nearest(axis, at);
  }
  double scale = (double)axis->from / axis->to, factor = scale < 1.0 ? 1.0 : scale;
  double support = SUPPORTS[axis->method] * factor, inverse = 1.0 / factor;
  double center = (at + 0.5) * scale, sum = 0.0;
  int first = (int)(center - support + 0.5), last = (int)(center + support + 0.5);
  if (first < 0) first = 0;
  if (last > axis->from) last = axis->from;
  for (int k = first; k < last; k++) sum += filter(axis->method, (k - center + 0.5) * inverse);
  for (int k = first; k < last; k++) {
    double weight = filter(axis->method, (k - center + 0.5) * inverse);
    if (sum != 0.0) weight /= sum;
    weight *= 1 << WEIGHT_BITS;
    taps[k - first] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
  }
  *count = last - first;
  return first;
}

static uint8_t rounded(int32_t sum) {
  sum += 1 << (WEIGHT_BITS - 1);
  if (sum < 0) return 0;
  sum >>= WEIGHT_BITS;
  return (uint8_t)(sum > 255 ? 255 : sum);
}

/* A pixel's value in the model's colours; gray is ITU-R 601-2 in whole numbers. */
static int32_t colored(const uint8_t *pixel, int channels, int wanted, int channel) {
  if (channels == 1) return pixel[0];
  if (wanted == 3) return pixel[channel];
  return (19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 0x8000) >> 16;
}

static int depth(const ek_picture *picture) { return picture->color == EK_GRAYSCALE ? 1 : 3; }

static void across(const side *axis, const ek_picture *picture, const uint8_t *source, int height,
                   int channels, int32_t *taps, uint8_t *scratch) {
  int wanted = depth(picture), count;
  for (int x = 0; x < picture->width; x++) {
    int first = weigh(axis, axis->start + x, taps, &count);
    for (int y = 0; y < height; y++) {
      const uint8_t *pixel = source + ((ptrdiff_t)y * axis->from + first) * channels;
      for (int c = 0; c < wanted; c++) {
        int32_t sum = 0;
        for (int k = 0; k < count; k++) {
          sum += taps[k] * colored(pixel + (ptrdiff_t)k * channels, channels, wanted, c);
        }
        scratch[((ptrdiff_t)y * picture->width + x) * wanted + c] = rounded(sum);
      }
    }
  }
}

static void down(const side *axis, const ek_picture *picture, const uint8_t *scratch, int32_t *taps,
                 uint8_t *pixels) {
  int wanted = depth(picture), width = picture->width, count;
  for (int y = 0; y < picture->height; y++) {
    int first = weigh(axis, axis->start + y, taps, &count);
    for (int x = 0; x < width; x++) {
      for (int c = 0; c < wanted; c++) {
        int32_t sum = 0;
        for (int k = 0; k < count; k++) {
          sum += taps[k] * scratch[((ptrdiff_t)(first + k) * width + x) * wanted + c];
        }
        int channel = picture->color == EK_BGR ? 2 - c : c;
        ptrdiff_t place = picture->channels_first
                           ? ((ptrdiff_t)channel * picture->height + y) * width + x
                           : ((ptrdiff_t)y * width + x) * wanted + channel;
        pixels[place] = rounded(sum);
      }
    }
  }
}

/* The sides of a picture: stretched, or the shorter one fitted and the centre cut. */
static void sides(const ek_picture *picture, int height, int width, side *rows, side *columns) {
  *rows = (side){picture->method, height, picture->height, 0};
  *columns = (side){picture->method, width, picture->width, 0};
  if (!picture->crop) return;
  double tall = (double)picture->height / height, wide = (double)picture->width / width;
  double factor = tall > wide ? tall : wide;
  side *both[] = {rows, columns};
  for (int k = 0; k < 2; k++) {
    /* rint rounds halves to even. */
    int scaled = (int)rint(both[k]->from * factor), size = both[k]->to;
    both[k]->to = scaled > size ? scaled : size;
    both[k]->start = (both[k]->to - size) / 2;
  }
}

size_t ek_scratch_size(const ek_picture *picture, int height) {
  return (size_t)height * (size_t)picture->width * (size_t)depth(picture);
}

static int most_taps(const side *axis) {
  double scale = (double)axis->from / axis->to, factor = scale < 1.0 ? 1.0 : scale;
  return (int)ceil(SUPPORTS[axis->method] * factor) * 2 + 1;
}

int ek_taps(const ek_picture *picture, int height, int width) {
  side rows, columns;
  sides(picture, height, width, &rows, &columns);
  int tall = most_taps(&rows), wide = most_taps(&columns);
  return tall > wide ? tall : wide;
}

int ek_fit(const ek_picture *picture, const uint8_t *source, int height, int width, int channels,
           uint8_t *scratch, int32_t *taps, uint8_t *pixels) {
  if (height < 1 || width < 1 || (channels != 1 && channels != 3 && channels != 4)) return -1;
  side rows, columns;
  sides(picture, height, width, &rows, &columns);
  across(&columns, picture, source, height, channels, taps, scratch);
  down(&rows, picture, scratch, taps, pixels);
  return 0;
}
