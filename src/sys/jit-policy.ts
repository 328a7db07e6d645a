/** Bun's own; not there in the test runner of another runtime. */
const unsafe = (globalThis as { Bun?: { unsafe?: { setJITPolicy?(scale: number): void } } }).Bun?.unsafe;

/**
 * How many times hotter than usual code must be before it is compiled to machine code (1: usual). The executable is built to
 * start with a scale so high that nothing is (scripts/build.ts): a command line of 40 ms spends up to a fifth of them on it in vain.
 */
export function setJitReluctance(scale: number): void {
  unsafe?.setJITPolicy?.(scale);
}
