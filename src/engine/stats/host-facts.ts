import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Kernel clock ticks of /proc/stat per second. */
const TICKS = 100;
const CPU_FIELDS = 8; // user nice system idle iowait irq softirq steal

/** CPU time of the whole machine in nanoseconds, and its CPUs. */
export function hostCpu(): { usage: number; cpus: number } {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!;
  const ticks = line.trim().split(/\s+/).slice(1, 1 + CPU_FIELDS).reduce((sum, field) => sum + Number(field), 0);
  return { usage: ticks * (1e9 / TICKS), cpus: availableParallelism() };
}

let memory: number | undefined;

/** Bytes of memory of the machine. */
export function hostMemory(): number {
  memory ??= Number(/^MemTotal:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) * 1024;
  return memory;
}
