#include "network.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static char reason[512];

#define TRY(what, call)                                                                  \
  do {                                                                                   \
    Status status_ = (call);                                                             \
    if (status_ != 0) {                                                                  \
      snprintf(reason, sizeof reason, "LiteRT: %s: %s", what, litert_status(status_));   \
      return reason;                                                                     \
    }                                                                                    \
  } while (0)

int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Options live as long as this process. */
static void keep(void *unused) { (void)unused; }

static const char *compile(Network *network, Environment environment, Model model, int threads,
                           bool delegate) {
  /* As many models may be opened as there is memory for: each has its own text. */
  static char texts[MAX_TENSORS][96];
  static size_t used;
  Options options;
  OpaqueOptions opaque;
  if (used == MAX_TENSORS) return "too many models in one process";
  char *text = texts[used++];
  snprintf(text, sizeof texts[0], "kernel_mode = \"%s\"\nnum_threads = %d\n",
           delegate ? "delegate" : "builtin", threads);
  TRY("options", LiteRtCreateOptions(&options));
  TRY("options", LiteRtSetOptionsHardwareAccelerators(options, ACCELERATOR_CPU));
  TRY("options", LiteRtCreateOpaqueOptions("xnnpack", text, keep, &opaque));
  TRY("options", LiteRtAddOpaqueOptions(options, opaque));
  TRY("the model cannot be compiled (stateful ones are not taken)",
      LiteRtCreateCompiledModel(environment, model, options, &network->compiled));
  return NULL;
}

/* "serving_default" where there is one, else the only one: as python_runner.py chooses. */
static const char *choose_signature(Model model, Signature *chosen, Param *index) {
  Param count;
  TRY("signatures", LiteRtGetNumModelSignatures(model, &count));
  if (count == 0) return "the model has no signature";
  for (Param at = 0; at < count; at++) {
    const char *key;
    TRY("signatures", LiteRtGetModelSignature(model, at, chosen));
    TRY("signatures", LiteRtGetSignatureKey(*chosen, &key));
    *index = at;
    if (count == 1 || strcmp(key, "serving_default") == 0) return NULL;
  }
  return "the model has several signatures, and none is serving_default: none is guessed";
}

/* A port as the file tells it, in the shape that the runtime gave it: free dimensions are one. */
static const char *describe(Tensor tensor, const Layout *given, Port *port) {
  int kind;
  TRY("a tensor without a shape", LiteRtGetRankedTensorType(tensor, &port->type));
  port->type.layout = *given;
  TRY("quantization", LiteRtGetQuantizationTypeId(tensor, &kind));
  if (kind == QUANTIZED_PER_TENSOR) {
    PerTensorQuantization found;
    TRY("quantization", LiteRtGetPerTensorQuantization(tensor, &found));
    port->scale = found.scale, port->zero_point = found.zero_point;
  }
  port->bytes = litert_element_size(port->type.element);
  if (port->bytes == 0) {
    snprintf(reason, sizeof reason, "%s is of a type that no buffer holds", port->name);
    return reason;
  }
  for (unsigned axis = 0; axis < port->type.layout.rank; axis++) {
    int32_t size = port->type.layout.dimensions[axis];
    if (size <= 0) {
      snprintf(reason, sizeof reason, "%s has a dimension of %d: its shape cannot be known",
               port->name, size);
      return reason;
    }
    port->bytes *= (size_t)size;
  }
  return NULL;
}

static const char *allocate(Environment environment, Port *port, Requirements requirements) {
  size_t packed;
  TRY("a buffer", LiteRtCreateManagedTensorBufferFromRequirements(environment, &port->type,
                                                                  requirements, &port->buffer));
  TRY("a buffer", LiteRtGetTensorBufferPackedSize(port->buffer, &packed));
  if (packed != port->bytes) {
    snprintf(reason, sizeof reason, "%s has %zu bytes, and its buffer %zu", port->name,
             port->bytes, packed);
    return reason;
  }
  return NULL;
}

static const char *open_inputs(Network *network, Environment environment, Signature signature,
                               uint32_t *indices) {
  const char *wrong;
  for (size_t at = 0; at < network->inputs; at++) {
    Port *port = &network->input[at];
    Tensor tensor;
    Layout given;
    Requirements requirements;
    TRY("an input", LiteRtGetSignatureInputName(signature, at, &port->name));
    TRY("an input", LiteRtGetSignatureInputTensorByIndex(signature, at, &tensor));
    TRY("an input", LiteRtGetTensorIndex(tensor, &indices[at]));
    TRY("an input", LiteRtGetCompiledModelInputTensorLayout(network->compiled, network->signature,
                                                            at, &given));
    if ((wrong = describe(tensor, &given, port)) != NULL) return wrong;
    TRY("an input", LiteRtGetCompiledModelInputBufferRequirements(
                        network->compiled, network->signature, at, &requirements));
    if ((wrong = allocate(environment, port, requirements)) != NULL) return wrong;
    network->fed[at] = port->buffer;
  }
  return NULL;
}

static const char *open_outputs(Network *network, Environment environment, Signature signature,
                                const uint32_t *fed) {
  const char *wrong;
  Layout given[MAX_TENSORS];
  TRY("shapes", LiteRtGetCompiledModelOutputTensorLayouts(network->compiled, network->signature,
                                                          network->outputs, given, true));
  for (size_t at = 0; at < network->outputs; at++) {
    Port *port = &network->output[at];
    Tensor tensor;
    Requirements requirements;
    uint32_t index;
    TRY("an output", LiteRtGetSignatureOutputName(signature, at, &port->name));
    TRY("an output", LiteRtGetSignatureOutputTensorByIndex(signature, at, &tensor));
    TRY("an output", LiteRtGetTensorIndex(tensor, &index));
    for (size_t input = 0; input < network->inputs; input++)
      if (fed[input] == index) {
        /* It was seen to answer with whatever lay in memory. */
        snprintf(reason, sizeof reason, "output %s is an input too, and is never written",
                 port->name);
        return reason;
      }
    if ((wrong = describe(tensor, &given[at], port)) != NULL) return wrong;
    TRY("an output", LiteRtGetCompiledModelOutputBufferRequirements(
                         network->compiled, network->signature, at, &requirements));
    if ((wrong = allocate(environment, port, requirements)) != NULL) return wrong;
    network->answered[at] = port->buffer;
  }
  return NULL;
}

const char *network_open(Network *network, const char *path, int threads, bool delegate) {
  static Environment environment;
  Model model;
  Signature signature;
  uint32_t indices[MAX_TENSORS];
  const char *wrong;
  if (environment == NULL) TRY("its environment", LiteRtCreateEnvironment(0, NULL, &environment));
  int64_t begin = now_ns();
  TRY("the file cannot be loaded", LiteRtCreateModelFromFile(environment, path, &model));
  if ((wrong = choose_signature(model, &signature, &network->signature)) != NULL) return wrong;
  TRY("inputs", LiteRtGetNumSignatureInputs(signature, &network->inputs));
  TRY("outputs", LiteRtGetNumSignatureOutputs(signature, &network->outputs));
  if (network->inputs > MAX_TENSORS || network->outputs > MAX_TENSORS)
    return "the model has too many inputs or outputs";
  if ((wrong = compile(network, environment, model, threads, delegate)) != NULL) return wrong;
  if ((wrong = open_inputs(network, environment, signature, indices)) != NULL) return wrong;
  if ((wrong = open_outputs(network, environment, signature, indices)) != NULL) return wrong;
  network->load_ns = now_ns() - begin;
  return NULL;
}

const char *network_feed(Network *network, size_t input, const char *path) {
  if (input >= network->inputs) return "there is no such input";
  npy_close(&network->items[input]);
  return npy_open(&network->items[input], path);
}

const char *network_stage(Network *network, size_t item) {
  for (size_t at = 0; at < network->inputs; at++) {
    const Port *port = &network->input[at];
    const Npy *items = &network->items[at];
    void *address;
    if (items->bytes / port->bytes <= item) {
      snprintf(reason, sizeof reason, "the items of %s end before %zu", port->name, item);
      return reason;
    }
    TRY("an input", LiteRtLockTensorBuffer(port->buffer, &address, LOCK_WRITE));
    memcpy(address, items->items + item * port->bytes, port->bytes);
    TRY("an input", LiteRtUnlockTensorBuffer(port->buffer));
  }
  return NULL;
}

const char *network_invoke(Network *network, int64_t *ns) {
  int64_t begin = now_ns();
  Status status =
      LiteRtRunCompiledModel(network->compiled, network->signature, network->inputs, network->fed,
                             network->outputs, network->answered);
  *ns = now_ns() - begin;
  TRY("the inference failed", status);
  return NULL;
}

const char *network_examine(Network *network) {
  Layout layouts[MAX_TENSORS];
  TRY("shapes", LiteRtGetCompiledModelOutputTensorLayouts(network->compiled, network->signature,
                                                          network->outputs, layouts, false));
  for (size_t at = 0; at < network->outputs; at++) {
    const Layout *said = &network->output[at].type.layout, *is = &layouts[at];
    bool same = said->rank == is->rank;
    for (unsigned axis = 0; same && axis < said->rank; axis++)
      same = said->dimensions[axis] == is->dimensions[axis];
    if (!same) {
      snprintf(reason, sizeof reason, "the shape of output %s follows the values of the inputs",
               network->output[at].name);
      return reason;
    }
  }
  return NULL;
}

const char *network_answer(Network *network, size_t output, void *to) {
  const Port *port = &network->output[output];
  void *address;
  TRY("an output", LiteRtLockTensorBuffer(port->buffer, &address, LOCK_READ));
  memcpy(to, address, port->bytes);
  TRY("an output", LiteRtUnlockTensorBuffer(port->buffer));
  return NULL;
}
