// An interpreter that gives for every item what TFLM gave for the same bytes, and no other answers:
// recorded.h has tensors and items.
#include <cstring>

#include "recorded.h"
#include "tensorflow/lite/micro/micro_interpreter.h"

namespace {

tflite::MicroAllocator allocator;
TfLiteTensor inputs[kInputs], outputs[kOutputs];

const uint8_t* part(const uint8_t* bytes, const size_t* sizes, size_t which) {
  for (size_t at = 0; at < which; ++at) bytes += sizes[at];
  return bytes;
}

bool place(TfLiteTensor* tensors, const size_t* sizes, size_t count, size_t* used) {
  for (size_t at = 0; at < count; ++at) {
    tensors[at].bytes = sizes[at];
    tensors[at].data.uint8 = allocator.arena + *used;
    *used += (sizes[at] + 15) / 16 * 16;
  }
  return *used <= allocator.size;
}

}  // namespace

namespace tflite {

MicroAllocator* MicroAllocator::Create(uint8_t* tensor_arena, size_t arena_size) {
  allocator.arena = tensor_arena;
  allocator.size = arena_size;
  return &allocator;
}

MicroInterpreter::MicroInterpreter(const Model*, const MicroOpResolver&, MicroAllocator* memory,
                                   MicroResourceVariables*)
    : allocator_(memory) {}

MicroInterpreter::~MicroInterpreter() {}

TfLiteStatus MicroInterpreter::AllocateTensors() {
  const bool fits = place(inputs, kInputBytes, kInputs, &used_) &&
                    place(outputs, kOutputBytes, kOutputs, &used_);
  return fits ? kTfLiteOk : kTfLiteError;
}

TfLiteStatus MicroInterpreter::Invoke() {
  for (const Item& item : kItems) {
    bool same = true;
    for (size_t at = 0; at < kInputs; ++at)
      same = same && !std::memcmp(inputs[at].data.data, part(item.inputs, kInputBytes, at),
                                  inputs[at].bytes);
    if (!same) continue;
    for (size_t at = 0; at < kOutputs; ++at)
      std::memcpy(outputs[at].data.data, part(item.outputs, kOutputBytes, at), outputs[at].bytes);
    // As TFLM may do with its inputs.
    for (TfLiteTensor& input : inputs) std::memset(input.data.data, 77, input.bytes);
    return kTfLiteOk;
  }
  return kTfLiteError;
}

TfLiteStatus MicroInterpreter::Reset() { return kTfLiteOk; }
size_t MicroInterpreter::inputs_size() const { return kInputs; }
size_t MicroInterpreter::outputs_size() const { return kOutputs; }
TfLiteTensor* MicroInterpreter::input(size_t index) {
  return index < kInputs ? &inputs[index] : nullptr;
}
TfLiteTensor* MicroInterpreter::output(size_t index) {
  return index < kOutputs ? &outputs[index] : nullptr;
}
size_t MicroInterpreter::arena_used_bytes() const { return used_; }

}  // namespace tflite
