import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { hostMemory } from '../stats/host-facts.ts';
import type { Process } from './read-process.ts';

export interface PsContext { readonly now: number; readonly uptime: number; readonly names: ReadonlyMap<number, string> }
export interface PsColumn { readonly title: string; readonly value: (process: Process, context: PsContext) => string }

/** Once per listing. User names are the host's, as with ps on the host. */
export function psContext(): PsContext {
  const names = new Map<number, string>();
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [name, , uid] = line.split(':');
      if (name && uid && !names.has(Number(uid))) names.set(Number(uid), name);
    }
  } catch {
    // numbers will do
  }
  return { now: Date.now(), uptime: uptime(), names };
}

const two = (n: number): string => String(n).padStart(2, '0');
const clock = (seconds: number): string => {
  const s = Math.max(0, Math.floor(seconds));
  const days = Math.floor(s / 86_400);
  return `${days > 0 ? `${days}-` : ''}${two(Math.floor((s % 86_400) / 3600))}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
};
const minutes = (seconds: number): string => `${Math.floor(seconds / 60)}:${two(Math.floor(seconds) % 60)}`;
const elapsed = (p: Process, { uptime: up }: PsContext): number => Math.max(0, up - p.started);
const user = (p: Process, { names }: PsContext): string => {
  const name = names.get(p.uid);
  return name === undefined ? String(p.uid) : name.length > 8 ? `${name.slice(0, 7)}+` : name;
};
const usage = (p: Process, context: PsContext): number => (p.cpuSeconds / Math.max(1, elapsed(p, context))) * 100;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const start = (p: Process, context: PsContext): string => {
  const date = new Date(context.now - elapsed(p, context) * 1000);
  return elapsed(p, context) < 86_400 ? `${two(date.getHours())}:${two(date.getMinutes())}` : `${MONTHS[date.getMonth()]}${two(date.getDate())}`;
};
/** Device number to name: pts and consoles. */
const tty = ({ tty: device }: Process): string => {
  if (device === 0) return '?';
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return major >= 136 && major <= 143 ? `pts/${minor + (major - 136) * 256}` : major === 4 ? `tty${minor}` : '?';
};
const stat = (p: Process): string =>
  `${p.state}${p.nice < 0 ? '<' : p.nice > 0 ? 'N' : ''}${p.locked > 0 ? 'L' : ''}${p.sid === p.pid ? 's' : ''}${p.threads > 1 ? 'l' : ''}${p.foreground === p.pgid && p.foreground > 0 ? '+' : ''}`;

const column = (title: string, value: PsColumn['value']): PsColumn => ({ title, value });
const number = (title: string, value: (p: Process) => number): PsColumn => column(title, (p) => String(value(p)));

/** What `-o` knows, by every name of it. */
export const COLUMNS: Readonly<Record<string, PsColumn>> = {
  pid: number('PID', (p) => p.pid), tgid: number('TGID', (p) => p.pid), ppid: number('PPID', (p) => p.ppid), pgid: number('PGID', (p) => p.pgid), pgrp: number('PGRP', (p) => p.pgid),
  sid: number('SID', (p) => p.sid), sess: number('SESS', (p) => p.sid), session: number('SESS', (p) => p.sid),
  uid: number('UID', (p) => p.uid), euid: number('EUID', (p) => p.uid), gid: number('GID', (p) => p.gid), egid: number('EGID', (p) => p.gid),
  user: column('USER', user), uname: column('USER', user), euser: column('EUSER', user), ruser: column('RUSER', user),
  c: column('C', (p, x) => String(Math.min(99, Math.floor(usage(p, x))))), '%cpu': column('%CPU', (p, x) => usage(p, x).toFixed(1)), pcpu: column('%CPU', (p, x) => usage(p, x).toFixed(1)),
  '%mem': column('%MEM', (p) => ((p.rss * 102_400) / hostMemory()).toFixed(1)), pmem: column('%MEM', (p) => ((p.rss * 102_400) / hostMemory()).toFixed(1)),
  vsz: number('VSZ', (p) => p.vsz), vsize: number('VSZ', (p) => p.vsz), rss: number('RSS', (p) => p.rss), rssize: number('RSS', (p) => p.rss), sz: number('SZ', (p) => Math.floor(p.vsz / 4)),
  tty: column('TT', tty), tt: column('TT', tty), tname: column('TTY', tty), stat: column('STAT', stat), s: column('S', (p) => p.state), state: column('S', (p) => p.state),
  start: column('STARTED', start), start_time: column('START', start), stime: column('STIME', start), bsdstart: column('START', start),
  lstart: column('STARTED', (p, x) => new Date(x.now - elapsed(p, x) * 1000).toString().slice(0, 24)),
  time: column('TIME', (p) => clock(p.cpuSeconds)), cputime: column('TIME', (p) => clock(p.cpuSeconds)), bsdtime: column('TIME', (p) => minutes(p.cpuSeconds)),
  etime: column('ELAPSED', (p, x) => clock(elapsed(p, x)).replace(/^00:/, '')), etimes: column('ELAPSED', (p, x) => String(Math.floor(elapsed(p, x)))),
  cmd: column('CMD', (p) => p.command), args: column('COMMAND', (p) => p.command), command: column('COMMAND', (p) => p.command), comm: column('COMMAND', (p) => p.comm), ucmd: column('CMD', (p) => p.comm), ucomm: column('COMMAND', (p) => p.comm),
  ni: number('NI', (p) => p.nice), nice: number('NI', (p) => p.nice), pri: number('PRI', (p) => 39 - p.priority), priority: number('PRI', (p) => p.priority), nlwp: number('NLWP', (p) => p.threads), thcount: number('THCNT', (p) => p.threads),
};

const named = (...list: (string | [string, string])[]): PsColumn[] =>
  list.map((entry) => (typeof entry === 'string' ? COLUMNS[entry]! : { ...COLUMNS[entry[0]]!, title: entry[1] }));

export const FULL_FORMAT = named(['user', 'UID'], 'pid', 'ppid', 'c', 'stime', ['tty', 'TTY'], 'time', 'cmd');
export const USER_FORMAT = named('user', 'pid', '%cpu', '%mem', 'vsz', 'rss', ['tty', 'TTY'], 'stat', ['start', 'START'], 'bsdtime', 'command');
export const PLAIN_FORMAT = named('pid', ['tty', 'TTY'], 'time', ['comm', 'CMD']);
export const BSD_FORMAT = named('pid', ['tty', 'TTY'], 'stat', 'bsdtime', 'command');
