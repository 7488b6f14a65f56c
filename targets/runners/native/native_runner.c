/* Run models on a device without Python: evaluate and time, over LiteRT's C library.

       native_runner LIBRARY [SECONDS [BYTES]]

   Takes one command a line on stdin and answers on stdout, nothing else is written there:

       core NUMBER                             keep on one core
       open ID THREADS DELEGATE PATH           load a model; DELEGATE is xnnpack or none
       feed ID INPUT PATH                      the items of an input by number, a .npy file
       first ID ITEM                           the first inference
       evaluate ID START STOP SECONDS RUNS     items, in blocks of so long or of so many
       time ID START STOP SECONDS RUNS         time inferences, with these items in turn
       alive                                   the host is still there; "alive" without "ok" says
                                               the same of this end, in the middle of an answer

   An answer is lines that end with "ok" or "error WORDS". Before it, "open" tells "load NS", and
   "input" and "output" lines: element type, scale (hexadecimal), zero point, rank, dimensions,
   name; "first" tells "first NS BASELINE PEAK" (bytes); "evaluate" tells "running START STOP", then
   "block START STOP BYTES" with so many bytes after the line: each output's items, in order; "time"
   tells "ns" and numbers. The first line of all is "ready" or "error WORDS".

   It ends when stdin closes, and with status 66 when nothing came for SECONDS (0: never), with 67
   when it holds more resident BYTES (0: any). */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "litert_api.h"
#include "network.h"

enum { ENDED = 0, FAILED = 1, MISUSED = 2, FORSAKEN = 66, TOO_LARGE = 67 };

#define LONGEST_LINE 8192
#define MOST_MODELS 32
#define MOST_RUNS 10000000
/* Milliseconds between two looks at the memory. */
#define LOOK 200
/* Bytes of answers that one block may hold. */
#define BLOCK_BYTES (8u << 20)

static int answers;
/* Held while an answer's line is written with what belongs to it. */
static pthread_mutex_t speaking = PTHREAD_MUTEX_INITIALIZER;
static size_t lease_seconds, limit_bytes;
static Network *networks[MOST_MODELS];
static size_t loaded;
static int64_t baseline;

static void write_all(const void *data, size_t size) {
  const char *at = data;
  while (size > 0) {
    ssize_t written = write(answers, at, size);
    if (written < 0 && errno == EINTR) continue;
    /* Nobody reads any more. */
    if (written <= 0) _exit(FAILED);
    at += written, size -= (size_t)written;
  }
}

/* A line, with so many bytes after it. */
static void say_with(const void *data, size_t bytes, const char *format, va_list arguments) {
  char line[LONGEST_LINE];
  int size = vsnprintf(line, sizeof line - 1, format, arguments);
  if (size > (int)sizeof line - 2) size = (int)sizeof line - 2;
  for (int at = 0; at < size; at++)
    if (line[at] == '\n') line[at] = ' ';
  line[size] = '\n';
  pthread_mutex_lock(&speaking);
  write_all(line, (size_t)size + 1);
  write_all(data, bytes);
  pthread_mutex_unlock(&speaking);
}

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say_with(NULL, 0, format, arguments);
  va_end(arguments);
}

static void say_bytes(const void *data, size_t bytes, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say_with(data, bytes, format, arguments);
  va_end(arguments);
}

/* Not where the main thread is writing: then the host hears something anyway. */
static void say_alive(void) {
  if (pthread_mutex_trylock(&speaking) != 0) return;
  write_all("alive\n", 6);
  pthread_mutex_unlock(&speaking);
}

/* Bytes of a field of /proc/self/status (proc(5)); 0 where the system does not tell. */
static int64_t status_bytes(const char *field) {
  char line[256];
  long long kilobytes = 0;
  FILE *file = fopen("/proc/self/status", "re");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, field, strlen(field)) == 0) sscanf(line + strlen(field), "%lld", &kilobytes);
  fclose(file);
  return (int64_t)kilobytes * 1024;
}

/* Lines of stdin, for the main thread; the reader ends the process where there is a reason to. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  char text[LONGEST_LINE];
  bool full;
} next = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hand_over(const char *line) {
  if (strcmp(line, "alive") == 0) {
    say_alive();
    return;
  }
  pthread_mutex_lock(&next.lock);
  while (next.full) pthread_cond_wait(&next.changed, &next.lock);
  snprintf(next.text, sizeof next.text, "%s", line);
  next.full = true;
  pthread_cond_broadcast(&next.changed);
  pthread_mutex_unlock(&next.lock);
}

static void take_line(char *line) {
  pthread_mutex_lock(&next.lock);
  while (!next.full) pthread_cond_wait(&next.changed, &next.lock);
  memcpy(line, next.text, sizeof next.text);
  next.full = false;
  pthread_cond_broadcast(&next.changed);
  pthread_mutex_unlock(&next.lock);
}

static void *read_lines(void *unused) {
  char line[LONGEST_LINE], piece[LONGEST_LINE];
  size_t used = 0;
  int64_t heard = now_ns();
  (void)unused;
  for (;;) {
    struct pollfd stdin_ready = {.fd = STDIN_FILENO, .events = POLLIN};
    int found = poll(&stdin_ready, 1, limit_bytes || lease_seconds ? LOOK : -1);
    if (limit_bytes && (size_t)status_bytes("VmRSS:") > limit_bytes) _exit(TOO_LARGE);
    if (found == 0) {
      if (lease_seconds && now_ns() - heard > (int64_t)lease_seconds * 1000000000) _exit(FORSAKEN);
      continue;
    }
    ssize_t size = read(STDIN_FILENO, piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) _exit(ENDED);
    heard = now_ns();
    for (ssize_t at = 0; at < size; at++) {
      if (piece[at] != '\n') {
        if (used + 1 >= sizeof line) _exit(MISUSED);
        line[used++] = piece[at];
        continue;
      }
      line[used] = '\0', used = 0;
      hand_over(line);
    }
  }
}

static Network *find(const char *id) {
  for (size_t at = 0; at < loaded; at++)
    if (strcmp(networks[at]->id, id) == 0) return networks[at];
  return NULL;
}

static void tell_ports(const char *end, const Port *ports, size_t count) {
  for (size_t at = 0; at < count; at++) {
    char shape[MAX_RANK * 12] = "";
    const Layout *layout = &ports[at].type.layout;
    for (unsigned axis = 0; axis < layout->rank; axis++)
      sprintf(shape + strlen(shape), " %d", layout->dimensions[axis]);
    say("%s %d %a %lld %u%s %s", end, ports[at].type.element, (double)ports[at].scale,
        (long long)ports[at].zero_point, layout->rank, shape, ports[at].name);
  }
}

static const char *do_core(char *rest) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET((size_t)strtoul(rest, NULL, 10), &cores);
  return sched_setaffinity(0, sizeof cores, &cores) == 0 ? NULL : strerror(errno);
}

static const char *do_open(char *rest) {
  char delegate[16], id[64];
  int threads, at;
  if (sscanf(rest, "%63s %d %15s %n", id, &threads, delegate, &at) != 3) return "open what?";
  if (loaded == MOST_MODELS) return "too many models in one process";
  bool xnnpack = strcmp(delegate, "xnnpack") == 0;
  if (!xnnpack && strcmp(delegate, "none") != 0) return "there is no such delegate";
  Network *network = calloc(1, sizeof *network);
  if (network == NULL) return strerror(errno);
  snprintf(network->id, sizeof network->id, "%s", id);
  baseline = status_bytes("VmHWM:");
  const char *wrong = network_open(network, rest + at, threads, xnnpack);
  if (wrong != NULL) return wrong;
  networks[loaded++] = network;
  say("load %lld", (long long)network->load_ns);
  tell_ports("input", network->input, network->inputs);
  tell_ports("output", network->output, network->outputs);
  return NULL;
}

static const char *do_feed(char *rest) {
  char id[64];
  size_t input;
  int at;
  if (sscanf(rest, "%63s %zu %n", id, &input, &at) != 2) return "feed what?";
  Network *network = find(id);
  return network == NULL ? "there is no such model" : network_feed(network, input, rest + at);
}

static const char *do_first(char *rest) {
  char id[64];
  size_t item;
  int64_t ns;
  const char *wrong;
  if (sscanf(rest, "%63s %zu", id, &item) != 2) return "first what?";
  Network *network = find(id);
  if (network == NULL) return "there is no such model";
  if ((wrong = network_stage(network, item)) != NULL) return wrong;
  if ((wrong = network_invoke(network, &ns)) != NULL) return wrong;
  if ((wrong = network_examine(network)) != NULL) return wrong;
  say("first %lld %lld %lld", (long long)ns, (long long)baseline,
      (long long)status_bytes("VmHWM:"));
  return NULL;
}

/* One block of items into a buffer of item_bytes each: outputs one after another. */
static const char *run_block(Network *network, size_t start, size_t stop, unsigned char *buffer) {
  const char *wrong;
  int64_t ns;
  for (size_t item = start; item < stop; item++) {
    unsigned char *place = buffer;
    if ((wrong = network_stage(network, item)) != NULL) return wrong;
    if ((wrong = network_invoke(network, &ns)) != NULL) return wrong;
    if ((wrong = network_examine(network)) != NULL) return wrong;
    for (size_t at = 0; at < network->outputs; at++) {
      size_t bytes = network->output[at].bytes;
      if ((wrong = network_answer(network, at, place + (item - start) * bytes)) != NULL)
        return wrong;
      place += (stop - start) * bytes;
    }
  }
  return NULL;
}

static const char *do_evaluate(char *rest) {
  char id[64];
  size_t start, stop, runs, item_bytes = 0;
  double seconds;
  const char *wrong = NULL;
  if (sscanf(rest, "%63s %zu %zu %lf %zu", id, &start, &stop, &seconds, &runs) != 5)
    return "evaluate what?";
  Network *network = find(id);
  if (network == NULL) return "there is no such model";
  for (size_t at = 0; at < network->outputs; at++) item_bytes += network->output[at].bytes;
  size_t most = BLOCK_BYTES / (item_bytes ? item_bytes : 1);
  if (runs && runs < most) most = runs;
  if (most == 0) most = 1;
  unsigned char *buffer = malloc(most * item_bytes + 1);
  if (buffer == NULL) return strerror(errno);
  for (size_t size = 1; start < stop && wrong == NULL;) {
    size_t end = stop - start < size ? stop : start + size;
    int64_t begin = now_ns();
    say("running %zu %zu", start, end);
    wrong = run_block(network, start, end, buffer);
    if (wrong != NULL) break;
    size_t bytes = (end - start) * item_bytes;
    say_bytes(buffer, bytes, "block %zu %zu %zu", start, end, bytes);
    /* The next block is as long as this one says that it should be. */
    double spent = (double)(now_ns() - begin) / 1e9, each = spent / (double)(end - start);
    size = each * (double)most <= seconds ? most : (size_t)(seconds / each) + 1;
    if (size > most) size = most;
    start = end;
  }
  free(buffer);
  return wrong;
}

static void tell_samples(const int64_t *samples, size_t count) {
  size_t room = count * 21 + 8, used = 0;
  char *line = malloc(room);
  if (line == NULL) _exit(FAILED);
  used += (size_t)sprintf(line, "ns");
  for (size_t at = 0; at < count; at++)
    used += (size_t)sprintf(line + used, " %lld", (long long)samples[at]);
  line[used++] = '\n';
  pthread_mutex_lock(&speaking);
  write_all(line, used);
  pthread_mutex_unlock(&speaking);
  free(line);
}

static const char *do_time(char *rest) {
  char id[64];
  size_t start, stop, runs, count = 0, room = 1024;
  double seconds;
  const char *wrong = NULL;
  if (sscanf(rest, "%63s %zu %zu %lf %zu", id, &start, &stop, &seconds, &runs) != 5)
    return "time what?";
  Network *network = find(id);
  if (network == NULL) return "there is no such model";
  if (start >= stop) return "there are no items";
  int64_t *samples = malloc(room * sizeof *samples);
  int64_t end = now_ns() + (int64_t)(seconds * 1e9);
  /* Where the last block ended: blocks go on through the items. */
  static size_t turn;
  while (samples != NULL && count < MOST_RUNS && (count < runs || now_ns() < end)) {
    if (count == room) samples = realloc(samples, (room *= 2) * sizeof *samples);
    if (samples == NULL) break;
    if ((wrong = network_stage(network, start + turn++ % (stop - start))) != NULL) break;
    if ((wrong = network_invoke(network, &samples[count])) != NULL) break;
    count++;
  }
  if (samples == NULL) return "no memory for the samples";
  if (wrong == NULL) tell_samples(samples, count);
  free(samples);
  return wrong;
}

static const struct {
  const char *name;
  const char *(*run)(char *rest);
} COMMANDS[] = {
    {"core", do_core},   {"open", do_open},         {"feed", do_feed},
    {"first", do_first}, {"evaluate", do_evaluate}, {"time", do_time},
};

static void obey(char *line) {
  char *rest = strchr(line, ' ');
  const char *wrong = "there is no such command";
  if (rest != NULL) {
    *rest++ = '\0';
    for (size_t at = 0; at < sizeof COMMANDS / sizeof COMMANDS[0]; at++)
      if (strcmp(COMMANDS[at].name, line) == 0) wrong = COMMANDS[at].run(rest);
  }
  if (wrong == NULL)
    say("ok");
  else
    say("error %s", wrong);
}

int main(int count, char **arguments) {
  pthread_t reader;
  char line[LONGEST_LINE];
  if (count < 2 || count > 4) {
    fprintf(stderr, "usage: native_runner LIBRARY [SECONDS [BYTES]]\n");
    return MISUSED;
  }
  /* What a runtime prints must not break the protocol. */
  answers = dup(STDOUT_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  lease_seconds = count > 2 ? strtoul(arguments[2], NULL, 10) : 0;
  limit_bytes = count > 3 ? strtoul(arguments[3], NULL, 10) : 0;
  const char *wrong = litert_load(arguments[1]);
  if (wrong != NULL) {
    say("error %s", wrong);
    return FAILED;
  }
  if (pthread_create(&reader, NULL, read_lines, NULL) != 0) return FAILED;
  say("ready");
  for (;;) {
    take_line(line);
    obey(line);
  }
}
