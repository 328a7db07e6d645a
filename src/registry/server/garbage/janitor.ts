import { join } from 'node:path';
import { lockFile } from '#sys/lock-file.ts';
import type { Metadata } from '../metadata/open-metadata.ts';
import type { BlobStorage } from '../storage/blob-storage.ts';
import { applyRetention, type RetentionOptions, type RetentionReport } from './apply-retention.ts';
import { collectGarbage, type GarbageReport } from './collect-garbage.ts';

export interface CleaningOptions {
  grace: number;
  retention: Omit<RetentionOptions, 'now' | 'dryRun'>;
  checkStorage?: boolean;
  dryRun?: boolean;
}
export type CleaningReport = GarbageReport & { expired: RetentionReport };

/**
 * Retention, then collection. One at a time among all processes on this data directory (an flock(2) that dies with its
 * holder); `undefined`: another one is at it.
 */
export async function clean(where: { root: string; metadata: Metadata; storage: BlobStorage }, options: CleaningOptions): Promise<CleaningReport | undefined> {
  const lock = lockFile(join(where.root, 'collector.lock'));
  if (lock === undefined) return undefined;
  try {
    const now = Date.now();
    const dryRun = options.dryRun === true;
    const expired = applyRetention(where.metadata, { ...options.retention, now, dryRun });
    return { expired, ...(await collectGarbage(where.metadata, where.storage, { grace: options.grace, now, dryRun, checkStorage: options.checkStorage === true })) };
  } finally {
    lock.release();
  }
}

/** Runs `work` every `interval` milliseconds, one after the other, until disposed; failures go to `failed`. */
export function every(interval: number, work: () => Promise<unknown>, failed: (error: unknown) => void): AsyncDisposable {
  let running: Promise<unknown> = Promise.resolve();
  let idle = true;
  const timer = setInterval(() => {
    if (!idle) return;
    idle = false;
    running = work().catch(failed).finally(() => { idle = true; });
  }, interval);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}
