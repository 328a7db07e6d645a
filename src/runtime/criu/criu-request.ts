import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly, sendWithDescriptors, socketpair } from '#sys/descriptors.ts';
import { receiveMessage } from '#sys/raw-sockets.ts';
import { decodeProto, encodeProto, type ProtoField } from './protobuf.ts';

/** criu's protocol (https://criu.org/RPC): kinds of requests. */
export const CRIU = { dump: 1, restore: 2, preDump: 4, notify: 6 } as const;
/** Fields of criu_opts. */
export const OPTION = {
  imagesDirFd: 1, pid: 2, leaveRunning: 3, extUnixSk: 4, tcpEstablished: 5, shellJob: 7, fileLocks: 8, logLevel: 9, logFile: 10, pageServer: 11,
  notifyScripts: 12, root: 13, parentImg: 14, trackMem: 15, autoDedup: 16, workDirFd: 17, linkRemap: 18, extMnt: 23, manageCgroups: 24, cgRoot: 25, rstSibling: 26,
  inheritFd: 27, manageCgroupsMode: 34, external: 37, emptyNs: 38, freezeCgroup: 44, tcpSkipInFlight: 46, lazyPages: 48, statusFd: 49, orphanPtsMaster: 50, lsmProfile: 53, lsmMountContext: 63,
} as const;
/** criu_cg_mode, by the names that --manage-cgroups-mode takes. */
export const CGROUP_MODES: Readonly<Record<string, number>> = { ignore: 0, soft: 3, full: 4, strict: 5 };

const REQUEST = { type: 1, opts: 2, notifySuccess: 3 } as const;
const RESPONSE = { type: 1, success: 2, restore: 4, notify: 5, errno: 7, message: 9 } as const;
const MAX_MESSAGE = 64 << 10;
const POLL_MS = 2;
/** Descriptors of a request become numbers from here on in criu. */
export const FIRST_DESCRIPTOR = 4;
const LOG_LINES = 3;

export interface CriuRequest {
  readonly program: string;
  readonly type: typeof CRIU.dump | typeof CRIU.restore | typeof CRIU.preDump;
  readonly options: readonly ProtoField[];
  /** What criu gets as FIRST_DESCRIPTOR and on; they stay the caller's. */
  readonly descriptors: readonly number[];
  /** Where criu writes its log. */
  readonly log: string;
  /** criu runs, and waits for the request. */
  started?(pid: number): void;
  /** A step that criu has come to; it waits until this resolves. Descriptors are the callee's. */
  notify?(step: string, pid: number, descriptors: readonly number[]): Promise<void>;
}

/** Asks criu for one thing. Resolves with the pid that a restore made (else 0). What criu cannot do is said in its own words, with the
 *  place of its log. */
export async function criuRequest(request: CriuRequest): Promise<number> {
  const [ours, theirs] = socketpair('seqpacket');
  let complaints = '';
  const child = spawn(request.program, ['swrk', '3'], { stdio: ['ignore', 'ignore', 'pipe', theirs, ...request.descriptors], cwd: '/' });
  closeQuietly(theirs);
  child.stderr!.on('data', (bytes: Buffer) => { complaints = (complaints + bytes.toString()).slice(-MAX_MESSAGE); });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', (error) => {
    complaints += error.message;
    resolve();
  }));
  const fail = async (errno?: number, message?: string): Promise<never> => {
    await gone;
    throw new NaruError('unavailable', `criu failed: ${message ?? lastErrors(request.log, complaints)}${errno === undefined ? '' : ` (errno ${errno})`}`, { hint: `criu's log is ${request.log}` });
  };
  const buffer = new Uint8Array(MAX_MESSAGE);
  try {
    request.started?.(child.pid!);
    sendWithDescriptors(ours, encodeProto([[REQUEST.type, request.type], [REQUEST.opts, request.options]]), []);
    for (;;) {
      const received = receiveMessage(ours, buffer);
      if (received === undefined) {
        await sleep(POLL_MS);
        continue;
      }
      if (received.bytes.length === 0) return await fail();
      const response = decodeProto(Buffer.from(received.bytes));
      if (response.get(RESPONSE.type) === CRIU.notify) {
        const notice = decodeProto(response.get(RESPONSE.notify) as Buffer);
        await request.notify?.(String(notice.get(1) ?? ''), Number(notice.get(2) ?? 0), received.descriptors);
        sendWithDescriptors(ours, encodeProto([[REQUEST.type, CRIU.notify], [REQUEST.notifySuccess, true]]), []);
        continue;
      }
      if (response.get(RESPONSE.success) !== 1) return await fail(response.get(RESPONSE.errno) as number | undefined, (response.get(RESPONSE.message) as Buffer | undefined)?.toString());
      const restored = response.get(RESPONSE.restore) as Buffer | undefined;
      return restored === undefined ? 0 : Number(decodeProto(restored).get(1));
    }
  } finally {
    closeQuietly(ours);
  }
}

/** The last of criu's errors: from its log, or (when it could not even begin one) from what it said. */
function lastErrors(log: string, complaints: string): string {
  const errors = (text: string): string[] => text.split('\n').filter((line) => line.includes('Error')).slice(0, LOG_LINES).map((line) => line.replace(/^\([\d.]+\)\s*(?:\d+: )?/, '').trim());
  let written: string[] = [];
  try {
    written = errors(readFileSync(log, 'utf8'));
  } catch {
    // it never came to that
  }
  return (written.length > 0 ? written : errors(complaints)).join('; ') || complaints.trim() || 'it ended without a word';
}
