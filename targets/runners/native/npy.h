/* Files of numpy arrays, mapped to be read item by item. */
#ifndef EDGEKIT_NPY_H
#define EDGEKIT_NPY_H

#include <stddef.h>

typedef struct {
  const unsigned char *items;
  size_t bytes;
  /* Numpy's own word, as "<f4", and the bytes of a value; empty and 0 where it is longer. */
  char dtype[8];
  size_t item_size;
  void *mapping;
  size_t mapped;
} Npy;

/* Map a file; NULL, or why it is not one. Source: "NEP 1: A Simple File Format for NumPy Arrays". */
const char *npy_open(Npy *npy, const char *path);

/* Values as real numbers, from one on; NULL, or why they are none. */
const char *npy_reals(const Npy *npy, size_t first, size_t count, float *reals);

/* Let the file go; of one that was never opened, nothing. */
void npy_close(Npy *npy);

#endif
