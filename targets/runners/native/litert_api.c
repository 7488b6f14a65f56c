#include "litert_api.h"

#include <dlfcn.h>
#include <stdio.h>

#define LITERT_DEFINE(name, result, parameters) result(*LiteRt##name) parameters;
LITERT_FUNCTIONS(LITERT_DEFINE)
#undef LITERT_DEFINE

static const struct {
  const char *name;
  void *place;
} FUNCTIONS[] = {
#define LITERT_ROW(name, result, parameters) {"LiteRt" #name, &LiteRt##name},
    LITERT_FUNCTIONS(LITERT_ROW)
#undef LITERT_ROW
};

const char *litert_load(const char *path) {
  static char reason[512];
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(reason, sizeof reason, "the library cannot be loaded: %s", dlerror());
    return reason;
  }
  /* Early releases have functions of the same names that take other arguments. */
  if (dlsym(library, "LiteRtCreateCpuOptions") != NULL)
    return "the library is of a release before 2.2: its functions take other arguments";
  for (size_t at = 0; at < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; at++) {
    void *found = dlsym(library, FUNCTIONS[at].name);
    if (found == NULL) {
      snprintf(reason, sizeof reason, "the library has no %s: it is of another release",
               FUNCTIONS[at].name);
      return reason;
    }
    /* POSIX's way to get a function out of dlsym: ISO C has none. */
    *(void **)FUNCTIONS[at].place = found;
  }
  return NULL;
}

/* Source: "litert/c/litert_common.h", LiteRtStatus. */
const char *litert_status(Status status) {
  static const struct {
    Status status;
    const char *words;
  } WORDS[] = {
      {1, "invalid argument"},
      {2, "memory allocation failed"},
      {3, "runtime failure"},
      {4, "a tensor is missing"},
      {5, "unsupported"},
      {6, "not found"},
      {7, "timeout expired"},
      {8, "wrong version"},
      {500, "a file cannot be read or written"},
      {501, "this is not a valid flatbuffer"},
      {1000, "an index is out of bounds"},
      {1001, "an invalid type in the graph"},
      {1003, "an invalid operator in the graph"},
      {1500, "no library of that name"},
      {2000, "compilation failed"},
  };
  static char number[32];
  for (size_t at = 0; at < sizeof WORDS / sizeof WORDS[0]; at++)
    if (WORDS[at].status == status) return WORDS[at].words;
  snprintf(number, sizeof number, "status %d", status);
  return number;
}

/* Source: "litert/c/litert_model_types.h", LiteRtElementType. */
size_t litert_element_size(int element) {
  switch (element) {
    case 3:  /* uint8 */
    case 6:  /* bool */
    case 9:  /* int8 */
      return 1;
    case 7:  /* int16 */
    case 10: /* float16 */
    case 17: /* uint16 */
      return 2;
    case 1:  /* float32 */
    case 2:  /* int32 */
    case 16: /* uint32 */
      return 4;
    case 4:  /* int64 */
    case 11: /* float64 */
    case 13: /* uint64 */
      return 8;
    default:
      return 0;
  }
}
