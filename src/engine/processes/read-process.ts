import { readFileSync } from 'node:fs';

/** Kernel clock ticks per second, as /proc/<pid>/stat counts. */
export const TICKS = 100;
const PAGE = 4096;

/** One process as /proc shows it. Times in seconds, sizes in KiB. */
export interface Process {
  readonly pid: number; readonly ppid: number; readonly pgid: number; readonly sid: number; readonly uid: number; readonly gid: number;
  readonly comm: string; readonly command: string; readonly state: string; readonly tty: number; readonly foreground: number;
  readonly cpuSeconds: number; readonly nice: number; readonly priority: number; readonly threads: number; readonly locked: number;
  /** Seconds since boot. */
  readonly started: number;
  readonly vsz: number; readonly rss: number;
}

/** undefined: it is gone. */
export function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const close = stat.lastIndexOf(')');
    const comm = stat.slice(stat.indexOf('(') + 1, close);
    const f = stat.slice(close + 2).split(' '); // f[0] is field 3, the state
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    const cmdline = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '').replaceAll('\0', ' ');
    return {
      pid, ppid: Number(f[1]), pgid: Number(f[2]), sid: Number(f[3]), tty: Number(f[4]), foreground: Number(f[5]), uid: field('Uid'), gid: field('Gid'), comm,
      command: cmdline === '' ? `[${comm}]` : printable(cmdline), state: f[0]!, cpuSeconds: (Number(f[11]) + Number(f[12])) / TICKS,
      priority: Number(f[15]), nice: Number(f[16]), threads: Number(f[17]), started: Number(f[19]) / TICKS, vsz: Math.floor(Number(f[20]) / 1024),
      rss: (Number(f[21]) * PAGE) / 1024, locked: field('VmLck'),
    };
  } catch {
    return undefined;
  }
}

/** A container's command line goes to somebody's terminal: no control characters. */
const printable = (text: string): string => text.replace(/[\x00-\x1f\x7f]/g, '?');
