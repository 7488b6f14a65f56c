#include "npy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "\x93NUMPY"
#define PREFIX 12

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
  *npy = (Npy){bytes + prefix + header, size - prefix - header, mapping, size};
  return NULL;
}

void npy_close(Npy *npy) {
  if (npy->mapping != NULL) munmap(npy->mapping, npy->mapped);
  *npy = (Npy){0};
}
