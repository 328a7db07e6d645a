import { readFile } from 'node:fs/promises';
import { NaruError } from '#spec/errors.ts';

export interface InterfaceCounters {
  rxBytes: number; rxPackets: number; rxErrors: number; rxDropped: number;
  txBytes: number; txPackets: number; txErrors: number; txDropped: number;
}

/** Counters of the interfaces in a process's network namespace, loopback left out. Throws not-found when it is gone. */
export async function interfaceCounters(pid: number): Promise<Record<string, InterfaceCounters>> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/net/dev`, 'utf8');
  } catch (cause) {
    throw new NaruError('not-found', `read the network counters of process ${pid}: it is gone`, { cause });
  }
  return parseNetDev(text);
}

/** The text of /proc/net/dev. */
export function parseNetDev(text: string): Record<string, InterfaceCounters> {
  const counters: Record<string, InterfaceCounters> = {};
  for (const line of text.split('\n').slice(2)) {
    const colon = line.lastIndexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim();
    const n = line.slice(colon + 1).trim().split(/\s+/).map(Number);
    if (name === 'lo' || n.length < 12) continue;
    counters[name] = {
      rxBytes: n[0]!, rxPackets: n[1]!, rxErrors: n[2]!, rxDropped: n[3]!,
      txBytes: n[8]!, txPackets: n[9]!, txErrors: n[10]!, txDropped: n[11]!,
    };
  }
  return counters;
}
