/* Read .wav files: a RIFF of chunks, of which "fmt " says what "data" holds. */
#include "wav.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PCM = 1, EXTENSIBLE = 0xFFFE, FORMAT_BYTES = 16, BITS = 16 };
static const float FULL_SCALE = 32768.0f;

static unsigned at16(const uint8_t *bytes) { return bytes[0] | (unsigned)bytes[1] << 8; }

static uint32_t at32(const uint8_t *bytes) {
  return at16(bytes) | (uint32_t)at16(bytes + 2) << 16;
}

int wav_is_one(const char *path) {
  size_t length = strlen(path);
  return length > 4 && strcasecmp(path + length - 4, ".wav") == 0;
}

static const char *read_samples(Wav *wav, FILE *file, uint32_t bytes, unsigned channels) {
  size_t most = bytes / (2 * channels);
  uint8_t frame[4];
  wav->samples = calloc(most ? most : 1, sizeof *wav->samples);
  if (wav->samples == NULL) return "it is too long for the memory";
  while (wav->count < most && fread(frame, 2 * channels, 1, file) == 1) {
    float sum = 0.0f;
    for (unsigned channel = 0; channel < channels; channel++)
      sum += (float)(int16_t)at16(frame + 2 * channel);
    wav->samples[wav->count++] = sum / (float)channels / FULL_SCALE;
  }
  return NULL;
}

static const char *read_chunks(Wav *wav, FILE *file) {
  uint8_t head[12], format[FORMAT_BYTES];
  unsigned channels = 0;
  if (fread(head, 12, 1, file) != 1 || memcmp(head, "RIFF", 4) != 0 ||
      memcmp(head + 8, "WAVE", 4) != 0)
    return "it is not a .wav";
  while (fread(head, 8, 1, file) == 1) {
    uint32_t bytes = at32(head + 4), rest = bytes;
    if (memcmp(head, "data", 4) == 0)
      return channels ? read_samples(wav, file, bytes, channels) : "its data come before their format";
    if (memcmp(head, "fmt ", 4) == 0) {
      if (bytes < FORMAT_BYTES || fread(format, FORMAT_BYTES, 1, file) != 1)
        return "its format is cut off";
      rest -= FORMAT_BYTES;
      unsigned kind = at16(format);
      channels = at16(format + 2);
      wav->rate = (int)at32(format + 4);
      if ((kind != PCM && kind != EXTENSIBLE) || at16(format + 14) != BITS || channels < 1 ||
          channels > 2)
        return "16-bit PCM, mono or stereo, is read";
    }
    /* Chunks begin at even places. */
    if (fseek(file, (long)rest + (long)(bytes & 1), SEEK_CUR) != 0) break;
  }
  return "it has no data";
}

const char *wav_open(Wav *wav, const char *path) {
  memset(wav, 0, sizeof *wav);
  FILE *file = fopen(path, "rb");
  if (file == NULL) return "it cannot be opened";
  const char *wrong = read_chunks(wav, file);
  fclose(file);
  if (wrong != NULL) wav_close(wav);
  return wrong;
}

void wav_close(Wav *wav) {
  free(wav->samples);
  wav->samples = NULL;
}
