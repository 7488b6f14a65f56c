// The model of this firmware: the names are those of edgekit's bundle for microcontrollers, here of a
// model called "digits".
#ifndef EDGEKIT_CONFIG_H
#define EDGEKIT_CONFIG_H

// Name and version of the TFLM that is linked: its commit, or the library's release.
#define EDGEKIT_RUNTIME "tflm-90b983c2"

#include "digits_tflm.h"

#define EDGEKIT_OPEN digits_open
#define EDGEKIT_INTERPRETER digits_interpreter
#define EDGEKIT_MODEL digits_model
#define EDGEKIT_MODEL_BYTES digits_model_size
// Another size, for a larger model that the host sends: define DIGITS_ARENA_BYTES for all files.
#define EDGEKIT_ARENA_BYTES digits_settings::kTensorArenaSize
// All inputs of one item together.
#define EDGEKIT_INPUT_BYTES 1024
// Room for a model that the host sends, 0 for none. It may use the operators above only.
#define EDGEKIT_SPACE_BYTES 0

#endif  // EDGEKIT_CONFIG_H
