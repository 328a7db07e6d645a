import { NR } from './numbers.ts';
import { syscall } from './syscalls.ts';

const TCGETS = 0x5401, TCSETS = 0x5402;
/** struct termios: four u32 of flags (input, output, control, local), the line discipline, the characters. */
const TERMIOS_BYTES = 60;
const OUTPUT_FLAGS = 1;
const OPOST = 1;

/** What is written to the terminal arrives as it is: Node's raw mode still turns a line feed into carriage return and line feed, which breaks
 *  programs that move the cursor by line feeds. Undone by setRawMode(false). */
export function leaveOutputAlone(fd: number): void {
  const termios = new Uint32Array(TERMIOS_BYTES / 4);
  if (syscall(NR.ioctl, fd, TCGETS, termios) < 0) return;
  termios[OUTPUT_FLAGS] = termios[OUTPUT_FLAGS]! & ~OPOST;
  syscall(NR.ioctl, fd, TCSETS, termios);
}
