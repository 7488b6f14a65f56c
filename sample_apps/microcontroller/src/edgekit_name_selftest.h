// Tells on the device whether the model gives there what it gave on the host.
#ifndef EDGEKIT_NAME_SELFTEST_H_
#define EDGEKIT_NAME_SELFTEST_H_

// Name and version of what runs the model, as the result has it.
#ifndef EDGEKIT_RUNTIME
#define EDGEKIT_RUNTIME "TFLM"
#endif

// Prepares the golden items, runs the model on them, and compares every step with the host's.
// Prints lines of text that end with PASSED or FAILED, and returns how many checks failed.
int edgekit_name_selftest(void (*print)(const char* text));

#endif  // EDGEKIT_NAME_SELFTEST_H_
