// The model on TensorFlow Lite for Microcontrollers (TFLM): no heap, one static arena.
#ifndef EDGEKIT_NAME_INFERENCE_H_
#define EDGEKIT_NAME_INFERENCE_H_

#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/micro/micro_interpreter.h"

// Functions that can fail return nullptr where they did not, else why they did.

// Makes the interpreter anew: a model that keeps a state begins with its first one.
const char* edgekit_name_begin();

// The same with another model, 16-byte aligned, of no operators but those of this one.
const char* edgekit_name_open(const void* model, size_t bytes);

// nullptr before the first of the two.
tflite::MicroInterpreter* edgekit_name_interpreter();

// Prepares one input of an item and puts it into the model: edgekit_name_spec.h numbers inputs and
// outputs. Put all inputs in before every inference: TFLM may have written over them.
const char* edgekit_name_put(int which, const float* raw);
const char* edgekit_name_put_bytes(int which, const uint8_t* raw);

// Runs the model, and carries its states on where it has inputs for them.
const char* edgekit_name_invoke();

// Reads an output as real numbers.
const char* edgekit_name_get(int which, float* values);

#endif  // EDGEKIT_NAME_INFERENCE_H_
