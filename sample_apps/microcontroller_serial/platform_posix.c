/* The protocol as a process of a POSIX system, behind a pseudo-terminal: to try firmware without a
 * board. Prints the terminal's path; `edgekit devices list serial://PATH` finds it. */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "edgekit_model.h"

static int terminal = -1;

static int read_byte(void) {
  unsigned char byte;
  return read(terminal, &byte, 1) == 1 ? byte : -1;
}

static void write_bytes(const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t written = write(terminal, bytes, count);
    if (written > 0) {
      bytes += written;
      count -= (size_t)written;
    } else if (errno == EAGAIN) {
      struct pollfd room = {terminal, POLLOUT, 0};
      poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

/* Fine enough for a small model, and full only after 429 s. */
static uint32_t tenths_of_microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)((uint64_t)now.tv_sec * 10000000u + (uint64_t)now.tv_nsec / 100u);
}

/* Raw, and held open at the far end too: without it, a terminal that nobody uses is an error. */
static int open_terminal(void) {
  struct termios settings;
  int far_end;
  terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || grantpt(terminal) || unlockpt(terminal)) return 0;
  far_end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  if (far_end < 0 || tcgetattr(far_end, &settings)) return 0;
  settings.c_iflag = settings.c_oflag = settings.c_lflag = 0;
  settings.c_cc[VMIN] = 1;
  settings.c_cc[VTIME] = 0;
  return !tcsetattr(far_end, TCSANOW, &settings) && !fcntl(terminal, F_SETFL, O_NONBLOCK);
}

int main(void) {
  static edgekit_serial serial;
  static const edgekit_platform platform = {
      read_byte, write_bytes, tenths_of_microseconds, 10000000u, "posix", "host", "posix",
      "posix process"};
  if (!open_terminal()) {
    perror("pseudo-terminal");
    return 1;
  }
  printf("%s\n", ptsname(terminal));
  fflush(stdout);
  edgekit_serial_begin(&serial, &platform, &edgekit_model, &edgekit_model_memory);
  for (;;) {
    struct pollfd ready = {terminal, POLLIN, 0};
    poll(&ready, 1, -1);
    edgekit_serial_poll(&serial);
  }
}
