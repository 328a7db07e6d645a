import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { helperBytes } from '../runtime/harness.ts';
import { makeGuestImage } from './guest-image.ts';
import { guestKernel } from './guest-kernel.ts';

export interface GuestReport {
  readonly kernel: string;
  /** All that the tests wrote. */
  readonly output: string;
  /** The kernel's messages and whatever went wrong before the tests. */
  readonly console: string;
  /** The status of the test runner in the guest; undefined when it was never told. */
  readonly status: number | undefined;
  readonly seconds: number;
}

const MEMORY_MEGABYTES = 2048;

/** Boots the guest on emulated processors, with cgroup v2 alone, runs `files` in it and ends it, at the deadline at the latest. */
export async function runGuest(files: readonly string[], options: { readonly deadlineSeconds: number }): Promise<GuestReport> {
  const directory = mkdtempSync(join(process.env['NARU_VM_DIR'] ?? tmpdir(), 'naru-vm.'));
  try {
    const kernel = guestKernel();
    const image = makeGuestImage({ kernel, directory, helper: helperBytes() });
    const [serial, results] = ['console', 'results'].map((name) => join(directory, name)) as [string, string];
    const started = Date.now();
    const arm = process.arch !== 'x64';
    // Bounded by a program of its own: the guest ends as well when this process was killed.
    const qemu = spawn('timeout', ['-s', 'KILL', String(options.deadlineSeconds), arm ? 'qemu-system-aarch64' : 'qemu-system-x86_64',
      '-machine', arm ? 'virt' : 'q35', '-cpu', 'max', '-accel', 'tcg,thread=multi,tb-size=512', '-smp', '2', '-m', String(MEMORY_MEGABYTES),
      '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none',
      '-kernel', kernel.image, '-initrd', image.initramfs,
      '-append', `console=${arm ? 'ttyAMA0' : 'ttyS0'} panic=-1 oops=panic mitigations=off cgroup_no_v1=all naru.tests=${files.join(',')}`,
      '-drive', `file=${image.disk},format=raw,if=virtio,cache=unsafe`,
      '-serial', `file:${serial}`, '-device', 'virtio-serial', '-chardev', `file,id=results,path=${results}`, '-device', 'virtserialport,chardev=results,name=results',
    ], { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaints = '';
    qemu.stderr.on('data', (bytes: Buffer) => { complaints += bytes.toString(); });
    await new Promise<void>((resolve) => qemu.once('exit', () => resolve()).once('error', (error) => {
      complaints += String(error);
      resolve();
    }));
    const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
    const output = read(results);
    const status = /^guest: exit (\d+)/m.exec(output)?.[1];
    return { kernel: kernel.version, output, console: complaints + read(serial), status: status === undefined ? undefined : Number(status), seconds: (Date.now() - started) / 1000 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
