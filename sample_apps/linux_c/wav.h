/* Sounds: .wav files of 16-bit PCM, mono or stereo. */
#ifndef EDGEKIT_WAV_H
#define EDGEKIT_WAV_H

#include <stddef.h>

typedef struct {
  /* Between -1 and 1; two channels are their mean. */
  float *samples;
  size_t count;
  int rate;
} Wav;

/* Whether a file is called like a sound. */
int wav_is_one(const char *path);

/* Read a file; NULL, or why it cannot be. Source: "Multimedia Programming Interface and Data
   Specifications 1.0", Resource Interchange File Format. */
const char *wav_open(Wav *wav, const char *path);

void wav_close(Wav *wav);

#endif
