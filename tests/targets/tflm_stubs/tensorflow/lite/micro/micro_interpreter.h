// What the bundle uses of TFLM, by TFLM's own names: interpreter, allocator, tensors. replay.cpp
// answers what TFLM answered before.
#ifndef STUB_MICRO_INTERPRETER_H_
#define STUB_MICRO_INTERPRETER_H_

#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"

enum TfLiteType {
  kTfLiteFloat32, kTfLiteInt32, kTfLiteUInt8, kTfLiteInt64, kTfLiteBool, kTfLiteInt16, kTfLiteInt8
};
enum TfLiteQuantizationType { kTfLiteNoQuantization, kTfLiteAffineQuantization };
struct TfLiteIntArray {
  int size;
  int data[8];
};
struct TfLiteFloatArray {
  int size;
  float data[8];
};
struct TfLiteAffineQuantization {
  TfLiteFloatArray* scale;
  TfLiteIntArray* zero_point;
};
struct TfLiteTensor {
  TfLiteType type;
  union {
    void* data;
    uint8_t* uint8;
  } data;
  TfLiteIntArray* dims;
  struct {
    TfLiteQuantizationType type;
    void* params;
  } quantization;
  size_t bytes;
};

namespace tflite {

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, MicroAllocator* allocator,
                   MicroResourceVariables* variables = nullptr);
  ~MicroInterpreter();
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteStatus Reset();
  size_t inputs_size() const;
  size_t outputs_size() const;
  TfLiteTensor* input(size_t index);
  TfLiteTensor* output(size_t index);
  size_t arena_used_bytes() const;

 private:
  MicroAllocator* allocator_;
  size_t used_ = 0;
};

}  // namespace tflite

#endif  // STUB_MICRO_INTERPRETER_H_
