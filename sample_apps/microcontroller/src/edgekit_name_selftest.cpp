#include "edgekit_name_selftest.h"

#include <cstring>

#include "edgekit_name_golden.h"
#include "edgekit_name_inference.h"
#include "edgekit_name_settings.h"

namespace {

using namespace edgekit_name_settings;

void (*print_text)(const char*) = nullptr;
int failures = 0;
float reals[edgekit_name_golden_largest];

void print_number(uint32_t value) {
  char text[11];
  int at = 10;
  text[at] = '\0';
  do text[--at] = static_cast<char>('0' + value % 10);
  while ((value /= 10) > 0);
  print_text(text + at);
}

// Six digits after the point: what microcontrollers' printf cannot do with a float.
void print_real(float value) {
  if (!(value < 4294.0f)) {
    print_text(value >= 4294.0f ? "more than 4294" : "NaN");
    return;
  }
  const uint32_t millionths = static_cast<uint32_t>(value * 1e6f + 0.5f);
  print_number(millionths / 1000000);
  print_text(".");
  for (uint32_t digit = 100000; digit > 0; digit /= 10) print_number(millionths / digit % 10);
}

void fail(int item, const char* what, const char* tensor) {
  ++failures;
  print_text("item ");
  print_number(static_cast<uint32_t>(item));
  print_text(": ");
  print_text(what);
  print_text(tensor);
  print_text("\n");
}

// Puts an item's inputs in, and compares what became of them with what the host fed its model.
const char* prepare(int item) {
  for (int which = 0; which < kInputCount; ++which) {
    const GoldenInput& golden = edgekit_name_golden_inputs[which];
    const size_t at = static_cast<size_t>(item * kInputs[which].spec->size);
    const char* problem = golden.floats ? edgekit_name_put(which, golden.floats + at)
                                        : edgekit_name_put_bytes(which, golden.bytes + at);
    if (problem) return problem;
    const TfLiteTensor* tensor = edgekit_name_interpreter()->input(kInputs[which].place);
    const uint8_t* expected = golden.prepared + static_cast<size_t>(item) * tensor->bytes;
    if (std::memcmp(tensor->data.data, expected, tensor->bytes) != 0)
      fail(item, "prepared differently than on the host: ", kInputs[which].spec->name);
  }
  return nullptr;
}

int best(int count) {
  int place = 0;
  ek_top(reals, count, 1, &place);
  return place;
}

// Returns the largest difference of an item's outputs, as a share of what is allowed.
const char* compare(int item, float* share) {
  for (int which = 0; which < kOutputCount; ++which) {
    const GoldenOutput& golden = edgekit_name_golden_outputs[which];
    const int count = kOutputs[which].spec->size;
    const char* problem = edgekit_name_get(which, reals);
    if (problem) return problem;
    const float* expected = golden.values + item * count;
    float largest = 0.0f;
    for (int at = 0; at < count; ++at) {
      const float difference = reals[at] < expected[at] ? expected[at] - reals[at]
                                                        : reals[at] - expected[at];
      // NaN differs from everything.
      if (!(difference <= largest)) largest = difference;
    }
    if (!(largest <= golden.tolerance)) fail(item, "differs: ", kOutputs[which].spec->name);
    if (golden.answers && best(count) != golden.answers[item])
      fail(item, "another class scores best: ", kOutputs[which].spec->name);
    const float of_allowed = golden.tolerance > 0.0f ? largest / golden.tolerance : 0.0f;
    if (!(of_allowed <= *share)) *share = of_allowed;
  }
  return nullptr;
}

const char* run(float* share) {
  for (int item = 0; item < edgekit_name_golden_items; ++item) {
    const char* problem = edgekit_name_golden_begins[item] ? edgekit_name_begin() : nullptr;
    if (!problem) problem = prepare(item);
    if (!problem) problem = edgekit_name_invoke();
    if (!problem) problem = compare(item, share);
    if (problem) return problem;
  }
  return nullptr;
}

}  // namespace

int edgekit_name_selftest(void (*print)(const char* text)) {
  print_text = print;
  failures = 0;
  float share = 0.0f;
  const char* problem = run(&share);
  if (problem) fail(0, "cannot be run: ", problem);
  if (edgekit_name_interpreter()) {
    print_text("arena: ");
    print_number(static_cast<uint32_t>(edgekit_name_interpreter()->arena_used_bytes()));
    print_text(" of ");
    print_number(static_cast<uint32_t>(kTensorArenaSize));
    print_text(" bytes in use\n");
  }
  print_text("outputs differ by at most ");
  print_real(share);
  print_text(" of what is allowed\n");
  print_text(failures ? "FAILED: " : "PASSED: ");
  print_text(kTitle);
  print_text(" on " EDGEKIT_RUNTIME ", ");
  print_number(static_cast<uint32_t>(edgekit_name_golden_items));
  print_text(" golden items\n");
  return failures;
}
