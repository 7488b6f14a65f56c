/* The model of this firmware: model_tflm.cc defines both, or a backend of your own does. */
#ifndef EDGEKIT_MODEL_H
#define EDGEKIT_MODEL_H

#include "edgekit_serial.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const edgekit_backend edgekit_model;
extern const edgekit_memory edgekit_model_memory;

#ifdef __cplusplus
}
#endif

#endif /* EDGEKIT_MODEL_H */
