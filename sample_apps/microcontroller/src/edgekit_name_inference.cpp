#include "edgekit_name_inference.h"

#include <cstring>
#include <new>

#include "edgekit_name_model.h"
#include "edgekit_name_resolver.h"
#include "edgekit_name_settings.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using namespace edgekit_name_settings;
using Resolver = tflite::MicroMutableOpResolver<edgekit_name_operators>;

alignas(16) uint8_t arena[kTensorArenaSize > 0 ? kTensorArenaSize : 16];
alignas(16) uint8_t states[kStateBytes > 0 ? kStateBytes : 1];
tflite::MicroInterpreter* interpreter = nullptr;

// What is made in static storage needs no heap, and no destructor at the program's end.
const Resolver* resolver() {
  alignas(Resolver) static uint8_t place[sizeof(Resolver)];
  static const Resolver* made = nullptr;
  if (made) return made;
  Resolver* operators = new (place) Resolver;
  if (edgekit_name_add_operators(*operators) == kTfLiteOk) made = operators;
  return made;
}

const char* make(const tflite::Model* model) {
  alignas(tflite::MicroInterpreter) static uint8_t place[sizeof(tflite::MicroInterpreter)];
  // The old one's destructor uses the arena: before it is filled anew.
  if (interpreter) interpreter->~MicroInterpreter();
  interpreter = nullptr;
  if (!resolver()) return "the operators do not fit into the resolver";
  tflite::MicroAllocator* allocator = tflite::MicroAllocator::Create(arena, sizeof arena);
  if (!allocator) return "the arena is too small for TFLM itself";
  tflite::MicroResourceVariables* variables = nullptr;
  if (kResourceVariables > 0) {
    variables = tflite::MicroResourceVariables::Create(allocator, kResourceVariables);
    if (!variables) return "the arena is too small for the model's variables";
  }
  interpreter = new (place) tflite::MicroInterpreter(model, *resolver(), allocator, variables);
  if (interpreter->AllocateTensors() == kTfLiteOk) return nullptr;
  return "AllocateTensors failed: the arena is too small, or an operator is missing";
}

size_t width(ek_dtype dtype) {
  switch (dtype) {
    case EK_UINT8:
    case EK_INT8: return 1;
    case EK_INT16: return 2;
    default: return 4;
  }
}

// Where a tensor's values lie; nullptr with the problem where it is not as the model's are.
void* values_of(TfLiteTensor* tensor, size_t bytes, const char** problem) {
  *problem = tensor && tensor->bytes == bytes ? nullptr : "a tensor has another size than expected";
  return *problem ? nullptr : tensor->data.data;
}

void* input(const Input& input, const char** problem) {
  *problem = "begin first";
  if (!interpreter) return nullptr;
  const size_t bytes = static_cast<size_t>(input.spec->size) * width(input.spec->dtype);
  return values_of(interpreter->input(input.place), bytes, problem);
}

void* output(const Output& output, const char** problem) {
  *problem = "begin first";
  if (!interpreter) return nullptr;
  const size_t bytes = static_cast<size_t>(output.spec->size) * width(output.spec->dtype);
  return values_of(interpreter->output(output.place), bytes, problem);
}

// The states as the next inference takes them: zeros, or what the last one gave. They are kept
// outside the arena, where TFLM may lay outputs over inputs.
const char* keep_states(bool begin) {
  for (int at = 0; at < kStateCount; ++at) {
    const char* problem;
    const uint8_t* from = static_cast<const uint8_t*>(output(kStates[at].from, &problem));
    if (!from) return problem;
    uint8_t* to = states + kStates[at].offset;
    ek_input taken = *kStates[at].to.spec;
    ek_output given = *kStates[at].from.spec;
    const int count = taken.size;
    taken.size = given.size = 1;
    for (int value = 0; value < count; ++value) {
      float real = 0.0f;
      if (!begin) ek_decode(&given, from, &real);
      ek_encode_floats(&taken, &real, to);
      to += width(taken.dtype);
      from += width(given.dtype);
    }
  }
  return nullptr;
}

const char* put_states() {
  for (int at = 0; at < kStateCount; ++at) {
    const char* problem;
    const Input& to = kStates[at].to;
    void* place = input(to, &problem);
    if (!place) return problem;
    const size_t bytes = static_cast<size_t>(to.spec->size) * width(to.spec->dtype);
    std::memcpy(place, states + kStates[at].offset, bytes);
  }
  return nullptr;
}

}  // namespace

const char* edgekit_name_open(const void* bytes, size_t size) {
  if (kTensorArenaSize == 0) return "the arena's size is not known: set EDGEKIT_NAME_ARENA_BYTES";
  // The identifier of the file format.
  if (size < 8 || std::memcmp(static_cast<const char*>(bytes) + 4, "TFL3", 4) != 0)
    return "the bytes are not a TFLite model";
  const tflite::Model* model = tflite::GetModel(bytes);
  if (model->version() != TFLITE_SCHEMA_VERSION) return "another version of the schema";
  static bool set_up = false;
  if (!set_up) tflite::InitializeTarget();
  set_up = true;
  return make(model);
}

const char* edgekit_name_begin() {
  const char* problem = edgekit_name_open(edgekit_name_model, edgekit_name_model_size);
  return problem ? problem : keep_states(true);
}

tflite::MicroInterpreter* edgekit_name_interpreter() { return interpreter; }

const char* edgekit_name_put(int which, const float* raw) {
  const char* problem;
  void* place = input(kInputs[which], &problem);
  if (place) ek_encode_floats(kInputs[which].spec, raw, place);
  return problem;
}

const char* edgekit_name_put_bytes(int which, const uint8_t* raw) {
  const char* problem;
  void* place = input(kInputs[which], &problem);
  if (place) ek_encode_bytes(kInputs[which].spec, raw, place);
  return problem;
}

const char* edgekit_name_invoke() {
  if (!interpreter) return "begin first";
  const char* problem = put_states();
  if (problem) return problem;
  if (interpreter->Invoke() != kTfLiteOk) return "Invoke failed";
  return keep_states(false);
}

const char* edgekit_name_get(int which, float* values) {
  const char* problem;
  const void* place = output(kOutputs[which], &problem);
  if (place) ek_decode(kOutputs[which].spec, place, values);
  return problem;
}
