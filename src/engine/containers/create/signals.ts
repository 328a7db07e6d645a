import { NaruError } from '#spec/errors.ts';

const NUMBERS: Record<string, number> = {
  HUP: 1, INT: 2, QUIT: 3, ILL: 4, TRAP: 5, ABRT: 6, IOT: 6, BUS: 7, FPE: 8, KILL: 9, USR1: 10, SEGV: 11, USR2: 12, PIPE: 13, ALRM: 14,
  TERM: 15, STKFLT: 16, CHLD: 17, CLD: 17, CONT: 18, STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23, XCPU: 24, XFSZ: 25, VTALRM: 26,
  PROF: 27, WINCH: 28, IO: 29, POLL: 29, PWR: 30, SYS: 31, RTMIN: 34, RTMAX: 64,
};
for (let i = 1; i <= 15; i++) NUMBERS[`RTMIN+${i}`] = 34 + i;
for (let i = 1; i <= 14; i++) NUMBERS[`RTMAX-${i}`] = 64 - i;

/** `SIGTERM`, `term`, `15` to the number. Throws invalid in Docker's words. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= 64) return number;
  } else {
    const number = NUMBERS[text.toUpperCase().replace(/^SIG/, '')];
    if (number !== undefined) return number;
  }
  throw new NaruError('invalid', `invalid signal: ${text}`);
}
