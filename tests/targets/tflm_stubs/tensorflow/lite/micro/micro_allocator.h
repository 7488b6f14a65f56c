#ifndef STUB_MICRO_ALLOCATOR_H_
#define STUB_MICRO_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>

namespace tflite {

class MicroAllocator {
 public:
  static MicroAllocator* Create(uint8_t* tensor_arena, size_t arena_size);
  uint8_t* arena = nullptr;
  size_t size = 0;
};

}  // namespace tflite

#endif  // STUB_MICRO_ALLOCATOR_H_
