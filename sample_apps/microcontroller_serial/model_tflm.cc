// TensorFlow Lite for Microcontrollers (TFLM) behind edgekit's serial protocol.
#include <cstring>

#include "config.h"
#include "edgekit_model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) uint8_t inputs_of_item[EDGEKIT_INPUT_BYTES];
#if EDGEKIT_SPACE_BYTES
alignas(16) uint8_t space[EDGEKIT_SPACE_BYTES];
#else
uint8_t* const space = nullptr;
#endif

const tflite::Model* model = nullptr;
tflite::MicroInterpreter* interpreter = nullptr;

const char* open_model(const uint8_t* bytes, uint32_t length) {
  flatbuffers::Verifier verifier(bytes, length);
  if (!tflite::VerifyModelBuffer(verifier)) return "the bytes are not a TFLite model";
  model = tflite::GetModel(bytes);
  const char* problem = EDGEKIT_OPEN(bytes, length);
  interpreter = EDGEKIT_INTERPRETER();
  return problem;
}

const char* invoke() {
  return interpreter->Invoke() == kTfLiteOk ? nullptr : "Invoke failed";
}

const char* reset() { return interpreter->Reset() == kTfLiteOk ? nullptr : "Reset failed"; }

uint32_t inputs() { return static_cast<uint32_t>(interpreter->inputs_size()); }

uint32_t outputs() { return static_cast<uint32_t>(interpreter->outputs_size()); }

const char* dtype_name(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32: return "float32";
    case kTfLiteInt8: return "int8";
    case kTfLiteUInt8: return "uint8";
    case kTfLiteInt16: return "int16";
    case kTfLiteInt32: return "int32";
    case kTfLiteInt64: return "int64";
    case kTfLiteBool: return "bool";
    default: return nullptr;
  }
}

// The signature by whose names a model is called: serving_default, else the first by its key.
const tflite::SignatureDef* signature() {
  const tflite::SignatureDef* chosen = nullptr;
  if (!model->signature_defs()) return chosen;
  for (const tflite::SignatureDef* one : *model->signature_defs()) {
    if (!one->signature_key()) continue;
    const char* key = one->signature_key()->c_str();
    if (!std::strcmp(key, "serving_default")) return one;
    if (!chosen || std::strcmp(key, chosen->signature_key()->c_str()) < 0) chosen = one;
  }
  return chosen;
}

const char* name_of(bool output, uint32_t which) {
  const tflite::SubGraph* graph = model->subgraphs()->Get(0);
  const uint32_t place = (output ? graph->outputs() : graph->inputs())->Get(which);
  const tflite::SignatureDef* chosen = signature();
  if (chosen && chosen->subgraph_index() == 0) {
    const auto* maps = output ? chosen->outputs() : chosen->inputs();
    for (uint32_t at = 0; maps && at < maps->size(); ++at)
      if (maps->Get(at)->tensor_index() == place && maps->Get(at)->name())
        return maps->Get(at)->name()->c_str();
  }
  const flatbuffers::String* own = graph->tensors()->Get(place)->name();
  return own ? own->c_str() : "";
}

const char* tensor_at(int output, uint32_t which, edgekit_tensor* found) {
  const TfLiteTensor* tensor = output ? interpreter->output(which) : interpreter->input(which);
  if (!tensor) return "TFLM does not give this tensor";
  found->dtype = dtype_name(tensor->type);
  if (!found->dtype) return "a dtype that the protocol does not carry";
  if (tensor->dims->size > EDGEKIT_RANK) return "more dimensions than EDGEKIT_RANK";
  found->rank = static_cast<uint32_t>(tensor->dims->size);
  for (uint32_t at = 0; at < found->rank; ++at)
    found->shape[at] = static_cast<uint32_t>(tensor->dims->data[at]);
  found->scale = 0.0f;
  found->zero_point = 0;
  if (tensor->quantization.type == kTfLiteAffineQuantization) {
    const auto* steps =
        static_cast<const TfLiteAffineQuantization*>(tensor->quantization.params);
    if (steps && steps->scale && steps->scale->size == 1) {
      found->scale = steps->scale->data[0];
      found->zero_point = steps->zero_point->data[0];
    }
  }
  found->name = name_of(output != 0, which);
  found->data = static_cast<uint8_t*>(tensor->data.data);
  found->bytes = static_cast<uint32_t>(tensor->bytes);
  return nullptr;
}

uint32_t arena_used() { return static_cast<uint32_t>(interpreter->arena_used_bytes()); }

int stateful() {
  for (const tflite::SubGraph* graph : *model->subgraphs()) {
    for (const tflite::Tensor* tensor : *graph->tensors())
      if (tensor->is_variable()) return 1;
  }
  for (const tflite::OperatorCode* code : *model->operator_codes())
    if (code->builtin_code() == tflite::BuiltinOperator_VAR_HANDLE) return 1;
  return 0;
}

}  // namespace

extern "C" {

const edgekit_backend edgekit_model = {EDGEKIT_RUNTIME, EDGEKIT_ARENA_BYTES, open_model, invoke,
                                       reset, inputs, outputs, tensor_at, arena_used, stateful};

const edgekit_memory edgekit_model_memory = {
    EDGEKIT_MODEL, EDGEKIT_MODEL_BYTES, inputs_of_item, sizeof inputs_of_item,
    space, EDGEKIT_SPACE_BYTES};

}  // extern "C"
