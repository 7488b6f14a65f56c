// The model of this firmware and its memory: the names are those of edgekit's C source bundle,
// here of a model called "digits".
#ifndef EDGEKIT_CONFIG_H
#define EDGEKIT_CONFIG_H

#include "digits_model.h"
#include "digits_resolver.h"

#define EDGEKIT_MODEL digits_model
#define EDGEKIT_MODEL_BYTES digits_model_size
#define EDGEKIT_OPERATORS digits_operators
#define EDGEKIT_ADD_OPERATORS digits_add_operators
// Name and version of the TFLM that is linked: its commit, or the library's release.
#define EDGEKIT_RUNTIME "tflm-90b983c2"
// `edgekit bench` on the device `tflm` tells how large the arena has to be.
#define EDGEKIT_ARENA_BYTES (16 * 1024)
// All inputs of one item together.
#define EDGEKIT_INPUT_BYTES 1024
// Room for a model that the host sends, 0 for none. It may use the operators above only.
#define EDGEKIT_SPACE_BYTES 0

#endif  // EDGEKIT_CONFIG_H
