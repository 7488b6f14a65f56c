/* From reset to main, and text and exit status out of the emulator: Arm semihosting. */
#include <stddef.h>
#include <stdint.h>

extern uint32_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];
extern void __libc_init_array(void);
extern int main(void);
void reset(void);
void fault(void);
void _init(void);
void _fini(void);
int _write(int file, const char *bytes, int count);
void _exit(int status);

static uintptr_t semihost(uintptr_t operation, const void *argument) {
  register uintptr_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

int _write(int file, const char *bytes, int count) {
  for (int at = 0; at < count; at++) semihost(0x03 /* SYS_WRITEC */, bytes + at);
  (void)file;
  return count;
}

void _exit(int status) {
  const uintptr_t block[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, (uintptr_t)status};
  semihost(0x20 /* SYS_EXIT_EXTENDED */, block);
  for (;;) {
  }
}

void _init(void) {}

void _fini(void) {}

void fault(void) { _exit(99); }

void reset(void) {
  /* The floating-point unit, and with it Helium. */
  *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
  __asm__ volatile("dsb\n isb");
  for (size_t at = 0; data_begin + at < data_end; at++) data_begin[at] = data_load[at];
  for (uint32_t *at = bss_begin; at < bss_end; at++) *at = 0;
  __libc_init_array();
  _exit(main());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, (void *)fault};
