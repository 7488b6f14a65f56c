/* One model in LiteRT's CompiledModel, on the CPU: its tensors, its items, its inferences. */
#ifndef EDGEKIT_NETWORK_H
#define EDGEKIT_NETWORK_H

#include "litert_api.h"
#include "npy.h"

#define MAX_TENSORS 64

typedef struct {
  const char *name;
  TensorType type;
  /* 0 where the tensor is not quantized. */
  float scale;
  int64_t zero_point;
  size_t bytes;
  TensorBuffer buffer;
} Port;

typedef struct {
  char id[64];
  CompiledModel compiled;
  Param signature;
  size_t inputs, outputs;
  Port input[MAX_TENSORS], output[MAX_TENSORS];
  TensorBuffer fed[MAX_TENSORS], answered[MAX_TENSORS];
  /* The items of each input, as it takes them. */
  Npy items[MAX_TENSORS];
  int64_t load_ns;
} Network;

/* Each of these gives NULL, or why it failed, in words. */
const char *network_open(Network *network, const char *path, int threads, bool delegate);
/* The file of an input's items. */
const char *network_feed(Network *network, size_t input, const char *path);
/* Copy one item into the inputs. */
const char *network_stage(Network *network, size_t item);
/* One inference, and how long it took. */
const char *network_invoke(Network *network, int64_t *ns);
/* Whether the outputs still have their shapes: those that follow the values are refused. */
const char *network_examine(Network *network);
/* Copy one output to where there is room for it. */
const char *network_answer(Network *network, size_t output, void *to);

/* Nanoseconds of the monotonic clock. */
int64_t now_ns(void);

#endif
