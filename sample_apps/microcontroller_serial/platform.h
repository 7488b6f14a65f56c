/* What a board gives to edgekit's protocol: bytes in, bytes out, a clock, and its name. */
#ifndef EDGEKIT_PLATFORM_H
#define EDGEKIT_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  /* The next byte from the host; -1 where there is none yet. Must not wait. */
  int (*read)(void);
  /* All bytes to the host, in order; may wait. */
  void (*write)(const char *bytes, size_t count);
  /* A counter that never stops and wraps at 2^32. It must run while the processor sleeps. */
  uint32_t (*ticks)(void);
  uint32_t ticks_per_second;
  /* ASCII: "nano-33-ble", "cortex-m4", "mbed 6.17" or "bare-metal". */
  const char *board, *processor, *system;
  /* "qemu", "renode": where this is not hardware; NULL or "" where it is. */
  const char *emulator;
} edgekit_platform;

#ifdef __cplusplus
}
#endif

#endif /* EDGEKIT_PLATFORM_H */
