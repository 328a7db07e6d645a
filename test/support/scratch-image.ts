import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dockerArchive, fixture } from '../fixtures/make-images.ts';
import type { TestDaemon } from './daemon.ts';

/** Loads busybox with its tree changed by a shell script (run in the unpacked root) as an image of this name. */
export function scratchImage(d: TestDaemon, options: { reference: string; script: string; config?: object }): void {
  const work = mkdtempSync(join(tmpdir(), 'naru-image.'));
  try {
    const ran = spawnSync('sh', ['-ec', `mkdir root; tar -C root -xf "$1"; cd root; ${options.script}\ncd ..; tar -C root --numeric-owner -cf rootfs.tar .`, 'sh', fixture('busybox-rootfs.tar')], { cwd: work, encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`scratch image ${options.reference}: ${ran.stderr}`);
    dockerArchive({ rootfsTar: join(work, 'rootfs.tar'), reference: options.reference, config: { Cmd: ['sh'], Env: ['PATH=/bin'], ...options.config }, output: join(work, 'image.tar') });
    d.ok('load', '-q', '-i', join(work, 'image.tar'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
