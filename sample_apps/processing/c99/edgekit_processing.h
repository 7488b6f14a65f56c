/* What happens before and after the model, in C99, without allocation.

   The caller gives every buffer; <model>_spec.h has the model's constants and the buffers' sizes.
   The same rules run in edgekit itself: docs/processing.md of edgekit says them exactly. */
#ifndef EDGEKIT_PROCESSING_H_
#define EDGEKIT_PROCESSING_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { EK_UINT8, EK_INT8, EK_INT16, EK_INT32, EK_FLOAT32 } ek_dtype;
typedef enum { EK_NEAREST, EK_AREA, EK_BILINEAR, EK_HAMMING, EK_BICUBIC, EK_LANCZOS } ek_method;
typedef enum { EK_RGB, EK_BGR, EK_GRAYSCALE } ek_color;
typedef enum { EK_NONE, EK_SOFTMAX, EK_SIGMOID } ek_activation;

/* The pixels that an input takes. */
typedef struct {
  int height, width;
  ek_color color;
  ek_method method;
  int crop;           /* 1: the shorter side is fitted and the centre cut; 0: stretched */
  int channels_first; /* 1: [channels, height, width] */
} ek_picture;

/* An input of one item: raw * factor + offset, quantized where scale is not 0. */
typedef struct {
  const char *name;
  int size;
  ek_dtype dtype;
  float scale;
  int32_t zero_point;
  int channels, channel_stride; /* value i has factor i / channel_stride % channels */
  const float *factors, *offsets;
  const ek_picture *picture; /* NULL where it is not a picture */
} ek_input;

/* An output of one item: (value - zero_point) * scale where scale is not 0. */
typedef struct {
  const char *name;
  int size;
  ek_dtype dtype;
  float scale;
  int32_t zero_point;
  ek_activation activation; /* what makes scores of it */
} ek_output;

/* ---- edgekit_values.c */

/* Turn raw values into what the model's input holds. */
void ek_encode_bytes(const ek_input *input, const uint8_t *raw, void *values);
void ek_encode_floats(const ek_input *input, const float *raw, void *values);

/* Turn what the model's output holds into real numbers. */
void ek_decode(const ek_output *output, const void *values, float *reals);

/* Apply what makes scores of an output, in place. */
void ek_activate(ek_activation activation, float *values, int count);

/* Write the places of the best scores, best first: of equal ones the first; NaN comes last.
   Returns how many were written: limit, or count where that is less. */
int ek_top(const float *scores, int count, int limit, int *places);

/* ---- edgekit_pictures.c */

/* Fit a picture, uint8 [height, width, channels] of 1 (gray), 3 (RGB) or 4 (RGBA, alpha is
   dropped) channels, into the pixels that the model takes. scratch holds ek_scratch_size bytes,
   taps holds ek_taps numbers. Returns 0, or -1 where channels or sizes cannot be. */
int ek_fit(const ek_picture *picture, const uint8_t *source, int height, int width, int channels,
           uint8_t *scratch, int32_t *taps, uint8_t *pixels);
size_t ek_scratch_size(const ek_picture *picture, int height);
int ek_taps(const ek_picture *picture, int height, int width);

/* ---- edgekit_boxes.c */

typedef enum { EK_XYXY, EK_YXYX, EK_XYWH, EK_CXCYWH } ek_box_layout;

/* Where boxes and scores lie in the outputs, and how they are read. */
typedef struct {
  ek_box_layout layout;
  int rows, classes;
  int box_row, box_column;
  int score_start, score_row, score_column;
  int objectness; /* -1 where no value tells objects from background */
  int sigmoid, background, suppress;
  float width, height;
  const float (*anchors)[4]; /* centre y, centre x, height, width; NULL without */
  float scales[4];
  float score, iou;
  int largest, candidates;
} ek_box_spec;

typedef struct {
  float score;
  int category;
  float left, top, right, bottom; /* shares of the picture */
} ek_box;

/* Read an item's boxes, best first. boxes and scores are outputs as real numbers (one output where
   the head has one). classes and count are those of TFLite_Detection_PostProcess, else NULL.
   found holds spec->candidates boxes. Returns how many boxes there are. */
int ek_read_boxes(const ek_box_spec *spec, const float *boxes, const float *scores,
                  const float *classes, const float *count, ek_box *found);

/* ---- edgekit_signals.c */

typedef struct {
  int rate, window, stride, fft, mels, coefficients, power;
  float low, high, floor;
} ek_signal;

/* How many floats the tables and the work space take: sizes for static buffers. */
#define EK_TABLES(window, fft) ((window) + (fft) / 2 + 1)
#define EK_WORK(fft, mels) (2 * (fft) + (mels))

/* Fill the tables, once. */
void ek_prepare_signal(const ek_signal *signal, float *tables);

/* Turn one window of samples into log-mel features, or MFCC. */
void ek_features(const ek_signal *signal, const float *tables, const float *samples, float *work,
                 float *features);

#ifdef __cplusplus
}
#endif

#endif /* EDGEKIT_PROCESSING_H_ */
