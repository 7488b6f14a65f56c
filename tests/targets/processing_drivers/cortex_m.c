/* Starts the driver on a Cortex-M4 of QEMU's mps2-an386, with files by semihosting. */
#include <stdint.h>
#include <stdlib.h>

extern uint32_t bss_begin[], bss_end[], stack_top[];
extern void initialise_monitor_handles(void);
extern int main(void);

void reset(void) {
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* the floating-point unit on */
  for (uint32_t *at = bss_begin; at < bss_end; at++) *at = 0;
  initialise_monitor_handles();
  exit(main());
}

static void fault(void) { exit(99); }

__attribute__((section(".vectors"), used)) static void *const VECTORS[16] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
