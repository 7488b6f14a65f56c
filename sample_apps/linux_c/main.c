/* Run the model of this bundle on LiteRT's C library: self-test it, classify items, time it.

       PROGRAM selftest
       PROGRAM classify ITEMS.npy [TOP]      or a .wav, where the model's features are of samples
       PROGRAM bench

   It reads model.tflite and golden/ from EDGEKIT_BUNDLE (the folder it was built from), and
   libLiteRt.so from EDGEKIT_LITERT (lib/libLiteRt.so there). Ends with 0, with 1 where the
   self-test fails, and with 2 where something is missing. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_config.h"
#include "network.h"
#include "npy.h"
#if APP_SIGNAL
#include "wav.h"
#endif

enum { PASSED = 0, FAILED = 1, MISUSED = 2 };
enum { WARM_UP = 20, RUNS = 400 };

static Network network;
static const char *bundle;

static const char *from_bundle(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", bundle, name);
  return path;
}

static void *room_for(size_t count, size_t size) {
  void *room = calloc(count ? count : 1, size);
  if (room == NULL) {
    fprintf(stderr, "error: no memory for %zu values\n", count);
    exit(MISUSED);
  }
  return room;
}

static int refuse(const char *what, const char *why) {
  fprintf(stderr, "error: %s: %s\n", what, why);
  return MISUSED;
}

static Port *port_called(Port *ports, size_t count, const char *name) {
  for (size_t at = 0; at < count; at++)
    if (strcmp(ports[at].name, name) == 0) return &ports[at];
  return NULL;
}

static Port *input_port(const char *name) {
  return port_called(network.input, network.inputs, name);
}

static Port *output_port(const char *name) {
  return port_called(network.output, network.outputs, name);
}

/* One item of an .npy file into an input: preprocessed, and quantized where the input is. */
static const char *stage(const ek_input *input, const Npy *items, size_t item) {
  Port *port = input_port(input->name);
  size_t count = (size_t)input->size, at = item * count * items->item_size;
  void *address;
  if (at + count * items->item_size > items->bytes) return "the items end before that";
  if (LiteRtLockTensorBuffer(port->buffer, &address, LOCK_WRITE) != 0) return "no buffer";
  if (strcmp(items->dtype, "|u1") == 0) {
    ek_encode_bytes(input, items->items + at, address);
  } else {
    float *reals = room_for(count, sizeof *reals);
    const char *wrong = npy_reals(items, item * count, count, reals);
    if (wrong == NULL) ek_encode_floats(input, reals, address);
    free(reals);
    if (wrong != NULL) {
      LiteRtUnlockTensorBuffer(port->buffer);
      return wrong;
    }
  }
  return LiteRtUnlockTensorBuffer(port->buffer) != 0 ? "no buffer" : NULL;
}

/* What an output holds, as real numbers. */
static const char *answer(const ek_output *output, float *reals) {
  Port *port = output_port(output->name);
  void *address;
  if (LiteRtLockTensorBuffer(port->buffer, &address, LOCK_READ) != 0) return "no buffer";
  ek_decode(output, address, reals);
  return LiteRtUnlockTensorBuffer(port->buffer) != 0 ? "no buffer" : NULL;
}

static const char *check_ports(void) {
  for (size_t at = 0; at < APP_INPUTS; at++) {
    const Port *port = input_port(app_inputs[at].input->name);
    if (port == NULL) return app_inputs[at].input->name;
  }
  for (size_t at = 0; at < APP_OUTPUTS; at++)
    if (output_port(app_outputs[at].output->name) == NULL) return app_outputs[at].output->name;
  return NULL;
}

static int open_model(void) {
  const char *library = getenv("EDGEKIT_LITERT"), *wrong;
  if (library == NULL) library = APP_LIBRARY;
  if ((wrong = litert_load(library)) != NULL) {
    refuse(library, wrong);
    fprintf(stderr, "  sh get_runtime.sh puts LiteRT %s there\n", APP_LITERT);
    return MISUSED;
  }
  if ((wrong = network_open(&network, from_bundle("model.tflite"), 1, true)) != NULL)
    return refuse("model.tflite", wrong);
  if ((wrong = check_ports()) != NULL) return refuse(wrong, "the model has no such tensor");
  return PASSED;
}

/* All outputs of one golden item against what they must be; the largest difference of each. */
static const char *compare(size_t item, const Npy *expected, double *largest) {
  for (size_t at = 0; at < APP_OUTPUTS; at++) {
    size_t count = (size_t)app_outputs[at].output->size;
    float *is = room_for(2 * count, sizeof *is), *must = is + count;
    const char *wrong = answer(app_outputs[at].output, is);
    if (wrong == NULL) wrong = npy_reals(&expected[at], item * count, count, must);
    for (size_t value = 0; wrong == NULL && value < count; value++) {
      double difference = fabs((double)is[value] - (double)must[value]);
      /* A value that is not a number differs from all. */
      if (!(difference <= largest[at])) largest[at] = isnan(difference) ? INFINITY : difference;
    }
    free(is);
    if (wrong != NULL) return wrong;
  }
  return NULL;
}

static const char *label(int class) {
  static char number[16];
#if APP_LABELS
  if (class < APP_LABELS) return app_labels[class];
#endif
  snprintf(number, sizeof number, "%d", class);
  return number;
}

/* How many golden items the labels call otherwise than the bundle's maker did. */
static int misnamed(const Npy *expected) {
  int wrong = 0;
#if APP_ANSWERS
  size_t count = (size_t)app_outputs[APP_SCORES].output->size;
  float *scores = room_for(count, sizeof *scores);
  for (size_t item = 0; item < APP_ITEMS; item++) {
    int best;
    if (npy_reals(&expected[APP_SCORES], item * count, count, scores) != NULL) wrong++;
    ek_top(scores, (int)count, 1, &best);
    if (strcmp(label(best), app_answers[item]) == 0) continue;
    printf("labels: golden item %zu is %s, and would be called %s\n", item, app_answers[item],
           label(best));
    wrong++;
  }
  free(scores);
#else
  (void)expected;
#endif
  return wrong;
}

static int selftest(void) {
  Npy items[APP_INPUTS], expected[APP_OUTPUTS];
  double largest[APP_OUTPUTS] = {0};
  int64_t ns;
  const char *wrong;
  bool passed = true;
  for (size_t at = 0; at < APP_INPUTS; at++)
    if ((wrong = npy_open(&items[at], from_bundle(app_inputs[at].golden))) != NULL)
      return refuse(app_inputs[at].golden, wrong);
  for (size_t at = 0; at < APP_OUTPUTS; at++)
    if ((wrong = npy_open(&expected[at], from_bundle(app_outputs[at].golden))) != NULL)
      return refuse(app_outputs[at].golden, wrong);
  for (size_t item = 0; item < APP_ITEMS; item++) {
    for (size_t at = 0; at < APP_INPUTS; at++)
      if ((wrong = stage(app_inputs[at].input, &items[at], item)) != NULL)
        return refuse(app_inputs[at].golden, wrong);
    if ((wrong = network_invoke(&network, &ns)) != NULL) return refuse("golden item", wrong);
    if ((wrong = compare(item, expected, largest)) != NULL) return refuse("golden item", wrong);
  }
  for (size_t at = 0; at < APP_OUTPUTS; at++) {
    printf("output %s: largest difference %.3g, tolerance %.3g\n", app_outputs[at].output->name,
           largest[at], app_outputs[at].tolerance);
    passed = passed && largest[at] <= app_outputs[at].tolerance;
  }
  passed = misnamed(expected) == 0 && passed;
  printf("self-test %s on %d golden items\n", passed ? "passed" : "FAILED", APP_ITEMS);
  return passed ? PASSED : FAILED;
}

/* Run the model on what was staged, and print the best classes; NULL, or what went wrong. */
static const char *tell(size_t item, int top) {
  const ek_output *output = app_outputs[APP_SCORES].output;
  const char *wrong;
  int64_t ns;
  if (top < 1 || top > output->size) top = output->size;
  if ((wrong = network_invoke(&network, &ns)) != NULL) return wrong;
  float *scores = room_for((size_t)output->size, sizeof *scores);
  int *places = room_for((size_t)top, sizeof *places);
  if ((wrong = answer(output, scores)) == NULL) {
    ek_activate(output->activation, scores, output->size);
    int best = ek_top(scores, output->size, top, places);
    printf("item %zu:", item);
    for (int rank = 0; rank < best; rank++)
      printf("%s %s %.3f", rank ? "," : "", label(places[rank]), (double)scores[places[rank]]);
    printf("\n");
  }
  free(places), free(scores);
  return wrong;
}

#if APP_SIGNAL
/* The features of samples into the input; NULL, or why not. */
static const char *stage_samples(const ek_input *input, const float *samples) {
  static float tables[APP_TABLES], work[APP_WORK];
  Port *port = input_port(input->name);
  void *address;
  if (LiteRtLockTensorBuffer(port->buffer, &address, LOCK_WRITE) != 0) return "no buffer";
  float *features = room_for((size_t)input->size, sizeof *features);
  ek_prepare_signal(&app_signal, tables);
  for (int frame = 0; frame < input->size / APP_FEATURES; frame++)
    ek_features(&app_signal, tables, samples + (size_t)frame * (size_t)app_signal.stride, work,
                features + (size_t)frame * APP_FEATURES);
  ek_encode_floats(input, features, address);
  free(features);
  return LiteRtUnlockTensorBuffer(port->buffer) != 0 ? "no buffer" : NULL;
}

/* As many items as the sound has whole ones. */
static int classify_sound(const char *path, int top) {
  const ek_input *input = app_inputs[0].input;
  int frames = input->size / APP_FEATURES;
  size_t needed = (size_t)(app_signal.window + (frames - 1) * app_signal.stride);
  const char *wrong;
  Wav wav;
  if ((wrong = wav_open(&wav, path)) != NULL) return refuse(path, wrong);
  if (wav.rate != app_signal.rate || wav.count < needed) {
    fprintf(stderr, "error: %s: %zu samples at %d a second; an item takes %zu at %d\n", path,
            wav.count, wav.rate, needed, app_signal.rate);
    wav_close(&wav);
    return MISUSED;
  }
  for (size_t item = 0; wrong == NULL && (item + 1) * needed <= wav.count; item++) {
    wrong = stage_samples(input, wav.samples + item * needed);
    if (wrong == NULL) wrong = tell(item, top);
  }
  wav_close(&wav);
  return wrong == NULL ? PASSED : refuse(path, wrong);
}
#endif

static int classify(const char *path, int top) {
  const ek_input *input = app_inputs[0].input;
  const char *wrong;
  Npy items;
  if (APP_INPUTS != 1) return refuse("classify", "takes models of one input");
#if APP_SIGNAL
  if (wav_is_one(path)) return classify_sound(path, top);
#endif
  if ((wrong = npy_open(&items, path)) != NULL) return refuse(path, wrong);
  size_t bytes = (size_t)input->size * items.item_size;
  if (items.bytes == 0 || items.bytes % bytes != 0) {
    fprintf(stderr, "error: %s: %zu bytes are not whole items of %zu\n", path, items.bytes, bytes);
    return MISUSED;
  }
  for (size_t item = 0; item < items.bytes / bytes; item++) {
    if ((wrong = stage(input, &items, item)) != NULL) return refuse(path, wrong);
    if ((wrong = tell(item, top)) != NULL) return refuse(path, wrong);
  }
  return PASSED;
}

static int by_size(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static int bench(void) {
  static int64_t runs[RUNS];
  const char *wrong;
  Npy items;
  for (size_t at = 0; at < APP_INPUTS; at++) {
    if ((wrong = npy_open(&items, from_bundle(app_inputs[at].golden))) != NULL)
      return refuse(app_inputs[at].golden, wrong);
    if ((wrong = stage(app_inputs[at].input, &items, 0)) != NULL)
      return refuse(app_inputs[at].golden, wrong);
    npy_close(&items);
  }
  for (int run = -WARM_UP; run < RUNS; run++)
    if ((wrong = network_invoke(&network, &runs[run < 0 ? 0 : run])) != NULL)
      return refuse("inference", wrong);
  qsort(runs, RUNS, sizeof runs[0], by_size);
  printf("load %.2f ms\n", (double)network.load_ns / 1e6);
  printf("latency p50 %.4f ms, p95 %.4f ms over %d runs, one thread\n",
         (double)runs[RUNS / 2] / 1e6, (double)runs[RUNS * 95 / 100] / 1e6, RUNS);
  return PASSED;
}

int main(int count, char **words) {
  const char *command = count > 1 ? words[1] : "";
  bool takes_items = strcmp(command, "classify") == 0 && (count == 3 || count == 4);
  bool alone = (strcmp(command, "selftest") == 0 || strcmp(command, "bench") == 0) && count == 2;
  if (!takes_items && !alone) {
    fprintf(stderr, "usage: %s selftest | classify ITEMS.npy [TOP] | bench\n", words[0]);
    return MISUSED;
  }
  bundle = getenv("EDGEKIT_BUNDLE");
  if (bundle == NULL) bundle = APP_BUNDLE;
  int status = open_model();
  if (status != PASSED) return status;
  printf("%s %s on LiteRT %s\n", APP_NAME, APP_VERSION, APP_LITERT);
  if (takes_items) return classify(words[2], count == 4 ? atoi(words[3]) : 3);
  return strcmp(command, "bench") == 0 ? bench() : selftest();
}
