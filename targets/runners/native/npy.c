#include "npy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "\x93NUMPY"
#define PREFIX 12

/* The word after 'descr' in the header, which is no longer than this. */
static void read_dtype(Npy *npy, const char *header, size_t size) {
  static const char KEY[] = "'descr': '";
  size_t key = sizeof KEY - 1;
  for (size_t at = 0; at + key + sizeof npy->dtype < size; at++) {
    if (memcmp(header + at, KEY, key) != 0) continue;
    const char *word = header + at + key, *end = memchr(word, '\'', sizeof npy->dtype);
    if (end == NULL || end - word < 3) return;
    memcpy(npy->dtype, word, (size_t)(end - word));
    npy->item_size = (size_t)atoi(npy->dtype + 2);
    return;
  }
}

const char *npy_open(Npy *npy, const char *path) {
  struct stat status;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &status) != 0) {
    if (file >= 0) close(file);
    return strerror(errno);
  }
  size_t size = (size_t)status.st_size;
  if (size < PREFIX) {
    close(file);
    return "too short for a .npy file";
  }
  void *mapping = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (mapping == MAP_FAILED) return strerror(errno);
  const unsigned char *bytes = mapping;
  /* Version 1.0 tells the header's length in two bytes, later ones in four; little-endian. */
  size_t header = bytes[8] | (size_t)bytes[9] << 8, prefix = 10;
  if (bytes[6] > 1) {
    header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    prefix = PREFIX;
  }
  if (memcmp(bytes, MAGIC, 6) != 0 || header > size - prefix) {
    munmap(mapping, size);
    return "not a .npy file";
  }
  *npy = (Npy){.items = bytes + prefix + header,
               .bytes = size - prefix - header,
               .mapping = mapping,
               .mapped = size};
  read_dtype(npy, (const char *)bytes + prefix, header);
  return NULL;
}

#define TAKE(word, type)                                                                   \
  if (strcmp(npy->dtype, word) == 0) {                                                     \
    for (size_t at = 0; at < count; at++) {                                                \
      type value;                                                                          \
      memcpy(&value, npy->items + (first + at) * sizeof value, sizeof value);              \
      reals[at] = (float)value;                                                            \
    }                                                                                      \
    return NULL;                                                                           \
  }

const char *npy_reals(const Npy *npy, size_t first, size_t count, float *reals) {
  if (npy->item_size == 0 || first + count > npy->bytes / npy->item_size)
    return "the values end before that";
  TAKE("<f4", float)
  TAKE("<f8", double)
  TAKE("|u1", uint8_t)
  TAKE("|b1", uint8_t)
  TAKE("|i1", int8_t)
  TAKE("<i2", int16_t)
  TAKE("<u2", uint16_t)
  TAKE("<i4", int32_t)
  TAKE("<i8", int64_t)
  return "values of this type are not read: save them as float32";
}

void npy_close(Npy *npy) {
  if (npy->mapping != NULL) munmap(npy->mapping, npy->mapped);
  *npy = (Npy){0};
}
