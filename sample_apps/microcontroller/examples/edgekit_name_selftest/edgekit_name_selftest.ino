// Tests the model on this board and prints the result: open the serial monitor at 115200 baud.
#include <edgekit_name_tflm.h>

static void print(const char* text) { Serial.print(text); }

void setup() {
  Serial.begin(115200);
  while (!Serial && millis() < 10000) {
  }
  edgekit_name_selftest(print);
}

void loop() {}
