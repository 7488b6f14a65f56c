/* LiteRT's C API, as far as the runner uses it, loaded at run time from libLiteRt.so.

   Declared by hand: the wheels carry no headers. Sources: "litert/c/litert_model.h",
   "litert_compiled_model.h", "litert_tensor_buffer.h", "litert_options.h" and
   "litert_opaque_options.h" of LiteRT 2.3. */
#ifndef EDGEKIT_LITERT_API_H
#define EDGEKIT_LITERT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_RANK 8

typedef int Status;
/* An index of a signature, an input or an output. */
typedef size_t Param;
typedef struct LiteRtEnvironmentT *Environment;
typedef struct LiteRtModelT *Model;
typedef struct LiteRtSignatureT *Signature;
typedef struct LiteRtTensorT *Tensor;
typedef struct LiteRtOptionsT *Options;
typedef struct LiteRtOpaqueOptionsT *OpaqueOptions;
typedef struct LiteRtCompiledModelT *CompiledModel;
typedef struct LiteRtTensorBufferT *TensorBuffer;
typedef struct LiteRtTensorBufferRequirementsT *Requirements;

typedef struct {
  unsigned rank : 7;
  bool has_strides : 1;
  int32_t dimensions[MAX_RANK];
  uint32_t strides[MAX_RANK];
} Layout;

typedef struct {
  int element;
  Layout layout;
} TensorType;

typedef struct {
  float scale;
  int64_t zero_point;
} PerTensorQuantization;

_Static_assert(sizeof(TensorType) == 72, "LiteRtRankedTensorType has 72 bytes");

enum { QUANTIZED_PER_TENSOR = 1 };
enum { ACCELERATOR_CPU = 1 };
enum { LOCK_READ = 0, LOCK_WRITE = 1 };

/* One row a function: its name after "LiteRt", what it returns, its parameters. */
#define LITERT_FUNCTIONS(F)                                                                        \
  F(CreateEnvironment, Status, (int, const void *, Environment *))                                 \
  F(CreateModelFromFile, Status, (Environment, const char *, Model *))                             \
  F(GetNumModelSignatures, Status, (Model, Param *))                                               \
  F(GetModelSignature, Status, (Model, Param, Signature *))                                        \
  F(GetSignatureKey, Status, (Signature, const char **))                                           \
  F(GetNumSignatureInputs, Status, (Signature, Param *))                                           \
  F(GetNumSignatureOutputs, Status, (Signature, Param *))                                          \
  F(GetSignatureInputName, Status, (Signature, Param, const char **))                              \
  F(GetSignatureOutputName, Status, (Signature, Param, const char **))                             \
  F(GetSignatureInputTensorByIndex, Status, (Signature, Param, Tensor *))                          \
  F(GetSignatureOutputTensorByIndex, Status, (Signature, Param, Tensor *))                         \
  F(GetTensorIndex, Status, (Tensor, uint32_t *))                                                  \
  F(GetRankedTensorType, Status, (Tensor, TensorType *))                                           \
  F(GetQuantizationTypeId, Status, (Tensor, int *))                                                \
  F(GetPerTensorQuantization, Status, (Tensor, PerTensorQuantization *))                           \
  F(CreateOptions, Status, (Options *))                                                            \
  F(SetOptionsHardwareAccelerators, Status, (Options, int))                                        \
  F(CreateOpaqueOptions, Status, (const char *, void *, void (*)(void *), OpaqueOptions *))        \
  F(AddOpaqueOptions, Status, (Options, OpaqueOptions))                                            \
  F(CreateCompiledModel, Status, (Environment, Model, Options, CompiledModel *))                   \
  F(GetCompiledModelInputBufferRequirements, Status, (CompiledModel, Param, Param, Requirements *)) \
  F(GetCompiledModelOutputBufferRequirements, Status,                                              \
    (CompiledModel, Param, Param, Requirements *))                                                 \
  F(GetCompiledModelInputTensorLayout, Status, (CompiledModel, Param, Param, Layout *))            \
  F(GetCompiledModelOutputTensorLayouts, Status, (CompiledModel, Param, size_t, Layout *, bool))   \
  F(CreateManagedTensorBufferFromRequirements, Status,                                             \
    (Environment, const TensorType *, Requirements, TensorBuffer *))                               \
  F(GetTensorBufferPackedSize, Status, (TensorBuffer, size_t *))                                   \
  F(LockTensorBuffer, Status, (TensorBuffer, void **, int))                                        \
  F(UnlockTensorBuffer, Status, (TensorBuffer))                                                    \
  F(RunCompiledModel, Status,                                                                      \
    (CompiledModel, Param, size_t, TensorBuffer *, size_t, TensorBuffer *))

/* The functions, by their names after "LiteRt"; filled by litert_load. */
#define LITERT_DECLARE(name, result, parameters) extern result(*LiteRt##name) parameters;
LITERT_FUNCTIONS(LITERT_DECLARE)
#undef LITERT_DECLARE

/* Load the library; NULL, or why it cannot be used. */
const char *litert_load(const char *path);

/* What a status says, in LiteRT's own words. */
const char *litert_status(Status status);

/* The bytes of an element, 0 where it has none of its own. */
size_t litert_element_size(int element);

#endif
