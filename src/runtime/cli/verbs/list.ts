import { statSync } from 'node:fs';
import { isKind, NaruError } from '#spec/errors.ts';
import { type ContainerRecord, listContainers, readConfig, readRecord, sweepAbandoned } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { parseFlags } from '../flags.ts';
import { STATE_VERSION } from './state.ts';

/** `list [-f table|json] [-q]`: the containers below --root. */
export const list: Verb = (words, context) => {
  const { flags } = parseFlags(words, { format: { kind: 'text', short: 'f' }, quiet: { kind: 'bool', short: 'q' } });
  const format = flags.format ?? 'table';
  if (format !== 'table' && format !== 'json') throw new NaruError('invalid', `invalid format option ${JSON.stringify(format)}`);
  sweepAbandoned(context.root);
  const rows = listContainers(context.root).flatMap((id) => row(context.root, id));
  if (flags.quiet) process.stdout.write(rows.map(({ id }) => `${id}\n`).join(''));
  else if (format === 'json') process.stdout.write(rows.length === 0 ? 'null' : JSON.stringify(rows));
  else process.stdout.write(table([['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'], ...rows.map((r) => [r.id, String(r.pid), r.status, r.bundle, r.created, r.owner])]));
  return 0;
};

function row(root: string, id: string) {
  let record: ContainerRecord;
  try {
    record = readRecord(root, id);
  } catch (error) {
    if (isKind(error, 'not-found') || isKind(error, 'invalid')) return []; // removed meanwhile, or no container
    throw error;
  }
  const { status, pid } = containerStatus(root, record);
  const { annotations } = readConfig(root, id);
  return [{
    ociVersion: STATE_VERSION, id, pid, status, bundle: record.bundle, rootfs: record.rootfs, created: record.created,
    ...(annotations !== undefined && { annotations }), owner: String(statSync(root).uid === 0 ? 'root' : statSync(root).uid),
  }];
}

/** Columns as Go's tabwriter makes them: as wide as the widest, three blanks between. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length), 9));
  return rows.map((cells) => `${cells.map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i]! + 3))).join('')}\n`).join('');
}
