/* The board's end of edgekit's serial protocol 1 (docs/devices/serial.md): C99, no heap, no libc
 * but memcpy, memset, memcmp and strlen. */
#ifndef EDGEKIT_SERIAL_H
#define EDGEKIT_SERIAL_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef EDGEKIT_PROTOCOL
#define EDGEKIT_PROTOCOL 1
#endif
#define EDGEKIT_FIRMWARE "1.0.0"

/* Bytes of a line from its first to its last character, and of the payload that fits into one. */
#ifndef EDGEKIT_LINE
#define EDGEKIT_LINE 512
#endif
#define EDGEKIT_CHUNK ((EDGEKIT_LINE - 64) / 4 * 3)
/* Inferences that one command asks for. */
#ifndef EDGEKIT_RUNS
#define EDGEKIT_RUNS 32
#endif
#define EDGEKIT_RANK 6

/* An input or an output. `scale` is 0 where the tensor has not exactly one. */
typedef struct {
  const char *name;
  const char *dtype; /* as numpy calls it: int8, uint8, int16, int32, float32, ... */
  uint32_t shape[EDGEKIT_RANK];
  uint32_t rank;
  float scale;
  int32_t zero_point;
  uint8_t *data;
  uint32_t bytes;
} edgekit_tensor;

/* What runs the model. Functions that can fail return NULL where they did not, else why they did:
 * a short text that stays valid until the next call. */
typedef struct {
  const char *runtime; /* name and version: "tflm-90b983c2" */
  uint32_t arena_bytes;
  /* Make the interpreter anew; a second call replaces the first model. */
  const char *(*open)(const uint8_t *model, uint32_t length);
  const char *(*invoke)(void);
  /* Give the model's variables their first values. */
  const char *(*reset)(void);
  uint32_t (*inputs)(void);
  uint32_t (*outputs)(void);
  /* `which` counts from 0. Fills *tensor; its texts stay valid until the model is replaced. */
  const char *(*tensor)(int output, uint32_t which, edgekit_tensor *tensor);
  uint32_t (*arena_used)(void);
  /* Whether answers depend on the inferences before. */
  int (*stateful)(void);
} edgekit_backend;

/* Memory that the board lends for as long as the protocol runs. */
typedef struct {
  /* The model in flash, 16-byte aligned; NULL and 0 where there is none. */
  const uint8_t *model;
  uint32_t model_bytes;
  /* Room for all inputs of an item at once: TFLM may write over its own input tensors. */
  uint8_t *inputs;
  uint32_t inputs_bytes;
  /* Room for a model that the host sends, 16-byte aligned; NULL and 0 where there is none. */
  uint8_t *space;
  uint32_t space_bytes;
} edgekit_memory;

typedef struct {
  const edgekit_platform *platform;
  const edgekit_backend *backend;
  edgekit_memory memory;
  char line[EDGEKIT_LINE + 1];
  uint32_t used;
  int in_frame, too_long;
  uint32_t token, sequence;
  /* The open model; length 0 where there is none. */
  uint32_t length, crc, load_ticks;
  /* The last inferences, for a command that arrives a second time. */
  uint32_t runs, ran, outputs_crc, ticks[EDGEKIT_RUNS];
  const char *problem;
} edgekit_serial;

/* Begin, and say so to the host. Nothing is opened until it asks. */
void edgekit_serial_begin(edgekit_serial *serial, const edgekit_platform *platform,
                          const edgekit_backend *backend, const edgekit_memory *memory);

/* Take one byte from the host. */
void edgekit_serial_take(edgekit_serial *serial, uint8_t byte);

/* Take what has arrived; call it over and over. Returns how many bytes there were. */
uint32_t edgekit_serial_poll(edgekit_serial *serial);

/* CRC-32/ISO-HDLC, continued from `crc`, which begins as 0. */
uint32_t edgekit_crc32(uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* EDGEKIT_SERIAL_H */
