/* Feeds the protocol with sound lines, damaged ones and noise, from a seed: fuzz SEED ROUNDS.
 * Ends with 0 where nothing broke and every sound line was answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgekit_model.h"

static uint64_t state;
static unsigned long answers;

static uint32_t chance(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % below;
}

static int nothing(void) { return -1; }

static void count(const char *bytes, size_t length) {
  size_t at;
  for (at = 0; at < length; at++) {
    answers += bytes[at] == '\n';
    if (bytes[at] != '\n' && (bytes[at] < ' ' || bytes[at] > '~')) abort();
  }
}

static uint32_t clock_ticks(void) { return (uint32_t)(state >> 7); }

static const char *const commands[] = {
    "hello 1", "hello", "open 4096 c71c0011", "open 0 00000000", "open 99999999999 zz",
    "tensor input 0", "tensor output 0", "tensor input 4294967295", "tensor", "tensor side 0",
    "set 0 0 AACAPwAAAEAAAEBAAACAQA==", "set 0 4294967295 AAAA", "set 0 12 AAAAAAAA", "set 0 0",
    "set 0 0 ====", "set 0 0 A===", "set 1 0 AAAA", "invoke 1 0 00000000", "invoke 33 0 00000000",
    "invoke 0 0 0", "invoke 2 1 ecbb4b55", "get 0 0 16", "get 0 15 2", "get 0 4294967295 16",
    "get 9 9 9", "load 0 HAAAAFRGTDMAAAAAAAAAAA==", "load 4095 AAAA", "load 4093 AAAA",
    "open 16 00000000", "ticks", "", " ", "no such", "invoke", "get", "load", "open"};

static size_t frame(char *line, uint32_t token, uint32_t sequence, const char *text) {
  int body = sprintf(line, ">%08x %08x %s", token, sequence, text);
  uint32_t crc = edgekit_crc32(0, line + 1, (size_t)body - 1);
  return (size_t)(body + sprintf(line + body, "*%08x\n", crc));
}

static size_t damage(char *line, size_t length) {
  uint32_t hits = 1 + chance(4);
  while (hits-- > 0 && length > 1) {
    size_t at = chance((uint32_t)length);
    switch (chance(3)) {
      case 0: line[at] = (char)chance(256); break;
      case 1: memmove(line + at, line + at + 1, length - at - 1); length--; break;
      default: memmove(line + at + 1, line + at, length - at); line[at] = (char)chance(256);
               length++;
    }
  }
  return length;
}

int main(int arguments, char **argument) {
  static const edgekit_platform platform = {nothing, count, clock_ticks, 1000000u,
                                            "fuzz",  "host", "posix",    "fuzz"};
  static edgekit_serial serial;
  char line[2048];
  unsigned long rounds;
  uint32_t sequence = 1;
  if (arguments != 3) return 2;
  state = strtoull(argument[1], NULL, 10);
  rounds = strtoul(argument[2], NULL, 10);
  edgekit_serial_begin(&serial, &platform, &edgekit_model, &edgekit_model_memory);
  while (rounds-- > 0) {
    const char *text = commands[chance(sizeof commands / sizeof *commands)];
    size_t length, at;
    unsigned long before;
    int kind = (int)chance(4);
    if (kind == 0) {
      for (length = 0; length < 1500 && chance(1000); length++) line[length] = (char)chance(256);
    } else {
      length = frame(line, 1 + chance(3) / 2, sequence + chance(2), text);
      if (kind == 1) length = damage(line, length);
    }
    before = answers;
    for (at = 0; at < length; at++) edgekit_serial_take(&serial, (uint8_t)line[at]);
    /* A line that says hello under a token is always answered, whatever came before. */
    length = frame(line, 7, sequence + 1, "hello 1");
    for (at = 0; at < length; at++) edgekit_serial_take(&serial, (uint8_t)line[at]);
    if (answers == before) return 1;
    sequence = 1 + chance(1000000);
    if (chance(2)) sequence = 1;
    length = frame(line, 1, sequence, "hello 1");
    before = answers;
    for (at = 0; at < length; at++) edgekit_serial_take(&serial, (uint8_t)line[at]);
    if (answers == before) return 3;
  }
  return 0;
}
