/* Files of numpy arrays, mapped to be read item by item. */
#ifndef EDGEKIT_NPY_H
#define EDGEKIT_NPY_H

#include <stddef.h>

typedef struct {
  const unsigned char *items;
  size_t bytes;
  void *mapping;
  size_t mapped;
} Npy;

/* Map a file; NULL, or why it is none. Source: "NEP 1: A Simple File Format for NumPy Arrays". */
const char *npy_open(Npy *npy, const char *path);

/* Let the file go; of one that was never opened, nothing. */
void npy_close(Npy *npy);

#endif
