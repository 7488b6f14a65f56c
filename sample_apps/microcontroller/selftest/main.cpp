// The self-test as a program: for ESP-IDF, for Zephyr, and for whatever else has stdout.
#include <cstdio>

#include "edgekit_name_tflm.h"

static void print(const char* text) { std::fputs(text, stdout); }

#ifdef ESP_PLATFORM
extern "C" void app_main() { edgekit_name_selftest(print); }
#else
int main() { return edgekit_name_selftest(print) ? 1 : 0; }
#endif
