#ifndef STUB_SCHEMA_GENERATED_H_
#define STUB_SCHEMA_GENERATED_H_

#include <cstddef>
#include <cstdint>

#define TFLITE_SCHEMA_VERSION 3

namespace flatbuffers {

struct String {
  const char* c_str() const { return ""; }
};

template <typename T>
struct Vector {
  uint32_t size() const { return 0; }
  T Get(uint32_t) const { return T(); }
  const T* begin() const { return nullptr; }
  const T* end() const { return nullptr; }
};

struct Verifier {
  Verifier(const uint8_t*, size_t) {}
};

}  // namespace flatbuffers

namespace tflite {

enum BuiltinOperator { BuiltinOperator_VAR_HANDLE = 142 };

struct Tensor {
  const flatbuffers::String* name() const { return nullptr; }
  bool is_variable() const { return false; }
};

struct TensorMap {
  const flatbuffers::String* name() const { return nullptr; }
  uint32_t tensor_index() const { return 0; }
};

struct SignatureDef {
  const flatbuffers::String* signature_key() const { return nullptr; }
  uint32_t subgraph_index() const { return 0; }
  const flatbuffers::Vector<const TensorMap*>* inputs() const { return nullptr; }
  const flatbuffers::Vector<const TensorMap*>* outputs() const { return nullptr; }
};

struct SubGraph {
  const flatbuffers::Vector<int32_t>* inputs() const { return nullptr; }
  const flatbuffers::Vector<int32_t>* outputs() const { return nullptr; }
  const flatbuffers::Vector<const Tensor*>* tensors() const { return nullptr; }
};

struct OperatorCode {
  BuiltinOperator builtin_code() const { return BuiltinOperator_VAR_HANDLE; }
};

struct Model {
  uint32_t version() const { return TFLITE_SCHEMA_VERSION; }
  const flatbuffers::Vector<const SubGraph*>* subgraphs() const { return nullptr; }
  const flatbuffers::Vector<const SignatureDef*>* signature_defs() const { return nullptr; }
  const flatbuffers::Vector<const OperatorCode*>* operator_codes() const { return nullptr; }
};

inline const Model* GetModel(const void*) {
  static const Model model;
  return &model;
}
inline bool VerifyModelBuffer(const flatbuffers::Verifier&) { return true; }

}  // namespace tflite

#endif  // STUB_SCHEMA_GENERATED_H_
