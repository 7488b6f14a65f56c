#include "edgekit_serial.h"

#include <string.h>

#define HEADER 18 /* two numbers of eight digits, a blank after each */
#define TRAILER 9 /* '*' and eight digits */

static const char hex[] = "0123456789abcdef";
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A line on its way out: pieces go to the platform as they come, and into the CRC. */
typedef struct {
  const edgekit_platform *platform;
  uint32_t crc;
  size_t used;
  char bytes[64];
} answer;

uint32_t edgekit_crc32(uint32_t crc, const void *bytes, size_t count) {
  /* The reflected polynomial 0xEDB88320, four bits at a time. */
  static const uint32_t table[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
      0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
      0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  const uint8_t *next = (const uint8_t *)bytes;
  crc = ~crc;
  while (count-- > 0) {
    crc ^= *next++;
    crc = (crc >> 4) ^ table[crc & 15];
    crc = (crc >> 4) ^ table[crc & 15];
  }
  return ~crc;
}

static void flush(answer *out) {
  out->platform->write(out->bytes, out->used);
  out->used = 0;
}

static void put(answer *out, char c) {
  out->crc = edgekit_crc32(out->crc, &c, 1);
  out->bytes[out->used++] = c;
  if (out->used == sizeof out->bytes) flush(out);
}

static void put_text(answer *out, const char *text) {
  while (*text) put(out, *text++);
}

static void put_hex(answer *out, uint32_t value) {
  int shift;
  for (shift = 28; shift >= 0; shift -= 4) put(out, hex[(value >> shift) & 15]);
}

static void put_number(answer *out, uint32_t value) {
  char digits[10];
  int count = 0;
  do {
    digits[count++] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  while (count > 0) put(out, digits[--count]);
}

static void put_signed(answer *out, int32_t value) {
  if (value < 0) put(out, '-');
  put_number(out, value < 0 ? 0u - (uint32_t)value : (uint32_t)value);
}

/* Text in which any byte may stand, as URLs have it. */
static void put_escaped(answer *out, const char *text) {
  for (; text && *text; text++) {
    unsigned char c = (unsigned char)*text;
    int plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (plain || (c && strchr("-._:/,", c))) {
      put(out, (char)c);
    } else {
      put(out, '%');
      put(out, hex[c >> 4]);
      put(out, hex[c & 15]);
    }
  }
}

static void put_base64(answer *out, const uint8_t *bytes, uint32_t count) {
  uint32_t at;
  for (at = 0; at < count; at += 3) {
    uint32_t left = count - at;
    uint32_t group = (uint32_t)bytes[at] << 16;
    if (left > 1) group |= (uint32_t)bytes[at + 1] << 8;
    if (left > 2) group |= bytes[at + 2];
    put(out, base64[(group >> 18) & 63]);
    put(out, base64[(group >> 12) & 63]);
    put(out, left > 1 ? base64[(group >> 6) & 63] : '=');
    put(out, left > 2 ? base64[group & 63] : '=');
  }
}

static void field(answer *out, const char *name) {
  put(out, ' ');
  put_text(out, name);
  put(out, '=');
}

static void number_field(answer *out, const char *name, uint32_t value) {
  field(out, name);
  put_number(out, value);
}

static void text_field(answer *out, const char *name, const char *text) {
  field(out, name);
  put_escaped(out, text);
}

static void model_field(answer *out, const char *name, uint32_t length, uint32_t crc) {
  field(out, name);
  put_number(out, length);
  put(out, ':');
  put_hex(out, crc);
}

static answer begin_line(const edgekit_platform *platform, uint32_t token, uint32_t sequence) {
  answer out;
  out.platform = platform;
  out.used = 0;
  out.crc = 0;
  put(&out, '<');
  /* The CRC is of what lies between the mark and the star. */
  out.crc = 0;
  put_hex(&out, token);
  put(&out, ' ');
  put_hex(&out, sequence);
  put(&out, ' ');
  return out;
}

static void end_line(answer *out) {
  uint32_t crc = out->crc;
  put(out, '*');
  put_hex(out, crc);
  put(out, '\n');
  flush(out);
}

static answer reply(const edgekit_serial *serial) {
  return begin_line(serial->platform, serial->token, serial->sequence);
}

static void say(const edgekit_serial *serial, const char *text) {
  answer out = reply(serial);
  put_text(&out, text);
  end_line(&out);
}

static void refuse(const edgekit_serial *serial, const char *word, const char *why) {
  answer out = reply(serial);
  put_text(&out, "error ");
  put_text(&out, word);
  put(&out, ' ');
  put_escaped(&out, why);
  end_line(&out);
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Eight digits at `text`; returns whether they are. */
static int read_hex(const char *text, uint32_t *value) {
  int at;
  *value = 0;
  for (at = 0; at < 8; at++) {
    int one = digit(text[at]);
    if (one < 0) return 0;
    *value = *value << 4 | (uint32_t)one;
  }
  return 1;
}

/* The next word of a line, cut off in place; an empty one where there is none. */
static char *word(char **rest) {
  char *begin = *rest;
  char *end = begin;
  while (*end && *end != ' ') end++;
  *rest = *end ? end + 1 : end;
  *end = '\0';
  return begin;
}

static int number(char **rest, uint32_t *value) {
  const char *text = word(rest);
  *value = 0;
  if (!*text) return 0;
  for (; *text; text++) {
    uint32_t one = (uint32_t)(*text - '0');
    if (one > 9 || *value > (UINT32_MAX - one) / 10) return 0;
    *value = *value * 10 + one;
  }
  return 1;
}

static int hex_word(char **rest, uint32_t *value) {
  const char *text = word(rest);
  return strlen(text) == 8 && read_hex(text, value);
}

/* Bytes that a text of base64 (RFC 4648, section 4, padded) stands for; -1 where it is not one. */
static int32_t decoded_size(const char *text) {
  size_t length = strlen(text), at, padding = 0;
  if (length == 0 || length % 4 || length > EDGEKIT_LINE) return -1;
  while (padding < 2 && text[length - 1 - padding] == '=') padding++;
  for (at = 0; at < length - padding; at++)
    if (!strchr(base64, text[at])) return -1;
  return (int32_t)(length / 4 * 3 - padding);
}

static void decode(const char *text, uint8_t *bytes, uint32_t count) {
  uint32_t group = 0, bits = 0, at = 0;
  for (; at < count; text++) {
    group = group << 6 | (uint32_t)(strchr(base64, *text) - base64);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (uint8_t)(group >> bits);
    }
  }
}

/* A payload into its place among `size` bytes; NULL, or why not. */
static const char *store(char **rest, uint8_t *bytes, uint32_t size, uint32_t offset) {
  const char *text = word(rest);
  int32_t count = decoded_size(text);
  if (count < 0) return "no base64";
  if ((uint32_t)count > size || offset > size - (uint32_t)count) return "beyond the end";
  decode(text, bytes + offset, (uint32_t)count);
  return NULL;
}

static uint32_t flash_crc(const edgekit_serial *serial) {
  return edgekit_crc32(0, serial->memory.model, serial->memory.model_bytes);
}

static void hello(edgekit_serial *serial) {
  const edgekit_platform *platform = serial->platform;
  const edgekit_backend *backend = serial->backend;
  answer out = reply(serial);
  put_text(&out, "ok");
  number_field(&out, "protocol", EDGEKIT_PROTOCOL);
  text_field(&out, "firmware", EDGEKIT_FIRMWARE);
  text_field(&out, "board", platform->board);
  text_field(&out, "processor", platform->processor);
  text_field(&out, "system", platform->system);
  text_field(&out, "emulator", platform->emulator);
  text_field(&out, "runtime", backend->runtime);
  number_field(&out, "ticks_per_second", platform->ticks_per_second);
  number_field(&out, "arena", backend->arena_bytes);
  number_field(&out, "chunk", EDGEKIT_CHUNK);
  number_field(&out, "runs", EDGEKIT_RUNS);
  number_field(&out, "space", serial->memory.space_bytes);
  model_field(&out, "model", serial->memory.model_bytes, flash_crc(serial));
  end_line(&out);
}

/* Where an input begins among the inputs of an item; `which` may be their number. */
static const char *input_offset(const edgekit_serial *serial, uint32_t which, uint32_t *offset) {
  edgekit_tensor tensor;
  uint32_t at;
  *offset = 0;
  for (at = 0; at < which; at++) {
    const char *problem = serial->backend->tensor(0, at, &tensor);
    if (problem) return problem;
    if (tensor.bytes > serial->memory.inputs_bytes - *offset)
      return "the inputs are larger than the memory for them";
    *offset += tensor.bytes;
  }
  return NULL;
}

static const uint8_t *find_model(const edgekit_serial *serial, uint32_t length, uint32_t crc) {
  const edgekit_memory *memory = &serial->memory;
  if (length && length == memory->model_bytes && crc == flash_crc(serial)) return memory->model;
  if (length && length <= memory->space_bytes && crc == edgekit_crc32(0, memory->space, length))
    return memory->space;
  return NULL;
}

static void open_model(edgekit_serial *serial, char *rest) {
  uint32_t length, crc, begin, offset;
  const char *problem;
  const uint8_t *model;
  answer out;
  if (!number(&rest, &length) || !hex_word(&rest, &crc)) {
    refuse(serial, "usage", "open LENGTH CRC");
    return;
  }
  serial->length = serial->ran = 0;
  model = find_model(serial, length, crc);
  if (!model) {
    refuse(serial, "model", "it is not here");
    return;
  }
  say(serial, "busy");
  begin = serial->platform->ticks();
  problem = serial->backend->open(model, length);
  serial->load_ticks = serial->platform->ticks() - begin;
  if (!problem) problem = input_offset(serial, serial->backend->inputs(), &offset);
  if (problem) {
    refuse(serial, "open", problem);
    return;
  }
  serial->length = length;
  serial->crc = crc;
  out = reply(serial);
  put_text(&out, "ok");
  number_field(&out, "ticks", serial->load_ticks);
  number_field(&out, "inputs", serial->backend->inputs());
  number_field(&out, "outputs", serial->backend->outputs());
  number_field(&out, "arena_used", serial->backend->arena_used());
  number_field(&out, "stateful", serial->backend->stateful() ? 1 : 0);
  end_line(&out);
}

/* The tensor that a command names; answers where it names none. */
static int find_tensor(edgekit_serial *serial, int output, char **rest, uint32_t *which,
                       edgekit_tensor *tensor) {
  const edgekit_backend *backend = serial->backend;
  const char *problem;
  if (!serial->length) {
    refuse(serial, "closed", "open a model first");
    return 0;
  }
  if (!number(rest, which) || *which >= (output ? backend->outputs() : backend->inputs())) {
    refuse(serial, "usage", "there is no such tensor");
    return 0;
  }
  problem = backend->tensor(output, *which, tensor);
  if (problem) refuse(serial, "tensor", problem);
  return !problem;
}

static void tell_tensor(edgekit_serial *serial, char *rest) {
  edgekit_tensor tensor;
  uint32_t which, at, bits;
  const char *side = word(&rest);
  int output = !strcmp(side, "output");
  answer out;
  if (!output && strcmp(side, "input")) {
    refuse(serial, "usage", "tensor input|output NUMBER");
    return;
  }
  if (!find_tensor(serial, output, &rest, &which, &tensor)) return;
  out = reply(serial);
  put_text(&out, "ok");
  text_field(&out, "dtype", tensor.dtype);
  field(&out, "shape");
  for (at = 0; at < tensor.rank; at++) {
    if (at) put(&out, ',');
    put_number(&out, tensor.shape[at]);
  }
  memcpy(&bits, &tensor.scale, sizeof bits);
  field(&out, "scale");
  put_hex(&out, bits);
  field(&out, "zero");
  put_signed(&out, tensor.zero_point);
  number_field(&out, "bytes", tensor.bytes);
  text_field(&out, "name", tensor.name);
  end_line(&out);
}

static void set_input(edgekit_serial *serial, char *rest) {
  edgekit_tensor tensor;
  uint32_t which, offset, begin;
  const char *problem;
  if (!find_tensor(serial, 0, &rest, &which, &tensor)) return;
  if (!number(&rest, &offset)) {
    refuse(serial, "usage", "set NUMBER OFFSET BASE64");
    return;
  }
  problem = input_offset(serial, which, &begin);
  if (!problem) problem = store(&rest, serial->memory.inputs + begin, tensor.bytes, offset);
  if (problem)
    refuse(serial, "usage", problem);
  else
    say(serial, "ok");
}

static void get_output(edgekit_serial *serial, char *rest) {
  edgekit_tensor tensor;
  uint32_t which, offset, count;
  answer out;
  if (!find_tensor(serial, 1, &rest, &which, &tensor)) return;
  if (!serial->ran || serial->problem) {
    refuse(serial, "closed", "nothing was computed yet");
    return;
  }
  if (!number(&rest, &offset) || !number(&rest, &count) || count > EDGEKIT_CHUNK ||
      count > tensor.bytes || offset > tensor.bytes - count) {
    refuse(serial, "usage", "get NUMBER OFFSET COUNT");
    return;
  }
  out = reply(serial);
  put_text(&out, "ok ");
  put_base64(&out, tensor.data + offset, count);
  end_line(&out);
}

static const char *place_inputs(edgekit_serial *serial) {
  edgekit_tensor tensor;
  uint32_t at, offset = 0;
  for (at = 0; at < serial->backend->inputs(); at++) {
    const char *problem = serial->backend->tensor(0, at, &tensor);
    if (problem) return problem;
    memcpy(tensor.data, serial->memory.inputs + offset, tensor.bytes);
    offset += tensor.bytes;
  }
  return NULL;
}

static const char *run(edgekit_serial *serial, uint32_t runs, int reset) {
  const edgekit_backend *backend = serial->backend;
  edgekit_tensor tensor;
  uint32_t at;
  for (at = 0; at < runs; at++) {
    uint32_t begin;
    const char *problem = reset ? backend->reset() : NULL;
    if (!problem) problem = place_inputs(serial);
    if (problem) return problem;
    begin = serial->platform->ticks();
    problem = backend->invoke();
    serial->ticks[at] = serial->platform->ticks() - begin;
    if (problem) return problem;
  }
  serial->outputs_crc = 0;
  for (at = 0; at < backend->outputs(); at++) {
    const char *problem = backend->tensor(1, at, &tensor);
    if (problem) return problem;
    serial->outputs_crc = edgekit_crc32(serial->outputs_crc, tensor.data, tensor.bytes);
  }
  return NULL;
}

static void tell_runs(const edgekit_serial *serial) {
  uint32_t at;
  answer out = reply(serial);
  put_text(&out, "ok");
  field(&out, "ticks");
  for (at = 0; at < serial->runs; at++) {
    if (at) put(&out, ',');
    put_number(&out, serial->ticks[at]);
  }
  field(&out, "crc");
  put_hex(&out, serial->outputs_crc);
  end_line(&out);
}

static void invoke(edgekit_serial *serial, char *rest) {
  uint32_t runs, reset, crc, bytes;
  const char *problem;
  if (!serial->length) {
    refuse(serial, "closed", "open a model first");
    return;
  }
  /* A command that came a second time: a model with a state must not take another step. */
  if (serial->ran == serial->sequence) {
    if (serial->problem)
      refuse(serial, "invoke", serial->problem);
    else
      tell_runs(serial);
    return;
  }
  if (!number(&rest, &runs) || !number(&rest, &reset) || !hex_word(&rest, &crc) || !runs ||
      runs > EDGEKIT_RUNS || reset > 1) {
    refuse(serial, "usage", "invoke RUNS RESET CRC");
    return;
  }
  problem = input_offset(serial, serial->backend->inputs(), &bytes);
  if (!problem && edgekit_crc32(0, serial->memory.inputs, bytes) != crc) {
    refuse(serial, "inputs", "they are not what the host sent");
    return;
  }
  say(serial, "busy");
  serial->runs = runs;
  serial->problem = problem ? problem : run(serial, runs, (int)reset);
  serial->ran = serial->sequence;
  invoke(serial, rest);
}

static void load(edgekit_serial *serial, char *rest) {
  uint32_t offset;
  const char *problem;
  if (!serial->memory.space_bytes) {
    refuse(serial, "memory", "this firmware takes no models");
    return;
  }
  /* What lies there may be the model that is open. */
  serial->length = serial->ran = 0;
  problem = number(&rest, &offset)
                ? store(&rest, serial->memory.space, serial->memory.space_bytes, offset)
                : "load OFFSET BASE64";
  if (problem)
    refuse(serial, "usage", problem);
  else
    say(serial, "ok");
}

static void tell_ticks(const edgekit_serial *serial) {
  answer out = reply(serial);
  put_text(&out, "ok");
  number_field(&out, "ticks", serial->platform->ticks());
  end_line(&out);
}

static void obey(edgekit_serial *serial, char *rest) {
  const char *command = word(&rest);
  if (!strcmp(command, "hello"))
    hello(serial);
  else if (!strcmp(command, "open"))
    open_model(serial, rest);
  else if (!strcmp(command, "tensor"))
    tell_tensor(serial, rest);
  else if (!strcmp(command, "set"))
    set_input(serial, rest);
  else if (!strcmp(command, "invoke"))
    invoke(serial, rest);
  else if (!strcmp(command, "get"))
    get_output(serial, rest);
  else if (!strcmp(command, "load"))
    load(serial, rest);
  else if (!strcmp(command, "ticks"))
    tell_ticks(serial);
  else
    refuse(serial, "usage", "there is no such command");
}

/* What stands outside every conversation: lines with token and sequence 0. */
static void announce(const edgekit_serial *serial, const char *text) {
  answer out = begin_line(serial->platform, 0, 0);
  put_text(&out, text);
  end_line(&out);
}

static int sound(const edgekit_serial *serial) {
  uint32_t crc;
  const char *star = serial->line + serial->used - TRAILER;
  if (serial->too_long || serial->used < HEADER + 1 + TRAILER) return 0;
  return *star == '*' && read_hex(star + 1, &crc) &&
         crc == edgekit_crc32(0, serial->line, (size_t)(star - serial->line)) &&
         serial->line[8] == ' ' && serial->line[17] == ' ';
}

static void take_line(edgekit_serial *serial) {
  uint32_t token, sequence;
  int begins;
  if (!sound(serial) || !read_hex(serial->line, &token) || !read_hex(serial->line + 9, &sequence) ||
      !token || !sequence) {
    announce(serial, "damaged");
    return;
  }
  serial->line[serial->used - TRAILER] = '\0';
  begins = !strncmp(serial->line + HEADER, "hello ", 6);
  if (!begins && token != serial->token) {
    /* This board has begun anew since, or another host has. */
    answer out = begin_line(serial->platform, token, sequence);
    put_text(&out, "error session begin%20with%20hello");
    end_line(&out);
    return;
  }
  /* An older line that was held up on its way. */
  if (token == serial->token && sequence < serial->sequence) return;
  if (token != serial->token) serial->ran = 0;
  serial->token = token;
  serial->sequence = sequence;
  obey(serial, serial->line + HEADER);
}

void edgekit_serial_take(edgekit_serial *serial, uint8_t byte) {
  if (byte == '>') {
    serial->in_frame = 1;
    serial->used = 0;
    serial->too_long = 0;
  } else if (!serial->in_frame) {
    return;
  } else if (byte == '\n' || byte == '\r') {
    serial->in_frame = 0;
    take_line(serial);
  } else if (serial->used < EDGEKIT_LINE) {
    serial->line[serial->used++] = (char)byte;
  } else {
    serial->too_long = 1;
  }
}

uint32_t edgekit_serial_poll(edgekit_serial *serial) {
  uint32_t count = 0;
  int byte;
  while ((byte = serial->platform->read()) >= 0) {
    edgekit_serial_take(serial, (uint8_t)byte);
    count++;
  }
  return count;
}

void edgekit_serial_begin(edgekit_serial *serial, const edgekit_platform *platform,
                          const edgekit_backend *backend, const edgekit_memory *memory) {
  memset(serial, 0, sizeof *serial);
  serial->platform = platform;
  serial->backend = backend;
  serial->memory = *memory;
  /* Ends whatever half a line a loader has left. */
  platform->write("\n", 1);
  announce(serial, "ready");
}
