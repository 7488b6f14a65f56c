/* LiteRT's C library below the interpreter of the Java side: by the network of the native runner. */
#include <jni.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

#define NAMED(name) JNICALL Java_org_tensorflow_lite_Interpreter_##name

static void refuse(JNIEnv *env, const char *why) {
  (*env)->ThrowNew(env, (*env)->FindClass(env, "java/lang/IllegalStateException"), why);
}

JNIEXPORT jlong NAMED(open)(JNIEnv *env, jobject this, jstring library, jstring file,
                            jint threads) {
  (void)this;
  Network *network = calloc(1, sizeof *network);
  const char *why = litert_load((*env)->GetStringUTFChars(env, library, NULL));
  const char *path = (*env)->GetStringUTFChars(env, file, NULL);
  if (why == NULL) why = network_open(network, path, threads, true);
  if (why != NULL) refuse(env, why);
  return (jlong)network;
}

/* The port of a name, with room for its bytes; NULL where an exception is thrown. */
static const Port *port_of(JNIEnv *env, const Port *ports, size_t count, jstring name,
                           jobject buffer) {
  const char *wanted = (*env)->GetStringUTFChars(env, name, NULL);
  for (size_t at = 0; at < count; at++) {
    if (strcmp(ports[at].name, wanted) != 0) continue;
    if ((size_t)(*env)->GetDirectBufferCapacity(env, buffer) == ports[at].bytes) return &ports[at];
    refuse(env, "a buffer of another size");
    return NULL;
  }
  refuse(env, "no input or output is called so");
  return NULL;
}

JNIEXPORT void NAMED(put)(JNIEnv *env, jobject this, jlong handle, jstring name, jobject buffer) {
  (void)this;
  Network *network = (Network *)handle;
  const Port *port = port_of(env, network->input, network->inputs, name, buffer);
  void *address;
  if (port == NULL) return;
  if (LiteRtLockTensorBuffer(port->buffer, &address, LOCK_WRITE) != 0) {
    refuse(env, "an input that cannot be written");
    return;
  }
  memcpy(address, (*env)->GetDirectBufferAddress(env, buffer), port->bytes);
  LiteRtUnlockTensorBuffer(port->buffer);
}

JNIEXPORT void NAMED(invoke)(JNIEnv *env, jobject this, jlong handle) {
  (void)this;
  int64_t ns;
  const char *why = network_invoke((Network *)handle, &ns);
  if (why != NULL) refuse(env, why);
}

JNIEXPORT void NAMED(get)(JNIEnv *env, jobject this, jlong handle, jstring name, jobject buffer) {
  (void)this;
  Network *network = (Network *)handle;
  const Port *port = port_of(env, network->output, network->outputs, name, buffer);
  if (port == NULL) return;
  const char *why = network_answer(network, (size_t)(port - network->output),
                                   (*env)->GetDirectBufferAddress(env, buffer));
  if (why != NULL) refuse(env, why);
}
