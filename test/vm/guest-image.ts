import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildProbe } from '../conformance/runtime/probe.ts';
import { fixture } from '../fixtures/make-images.ts';
import type { GuestKernel } from './guest-kernel.ts';

const top = join(import.meta.dirname, '../..');
/** Programs of this machine that the tests call, with the libraries that they need. */
const PROGRAMS = ['nft', 'ip', 'curl', 'script', 'bash', 'docker', 'criu', 'tar', 'gzip', 'strace', 'unshare', 'setpriv'];
/** What is not called by its name: a user's systemd. */
const ELSEWHERE = ['/usr/lib/systemd/systemd'];
/** Of the tree, what the tests in the guest read. */
const TREE = ['src', 'test', 'scripts', 'native', 'package.json', 'tsconfig.json', 'dist/naru', 'node_modules/@oven', 'node_modules/yaml', 'node_modules/jose', 'node_modules/aws4fetch', 'node_modules/bcryptjs', 'node_modules/fast-check', 'node_modules/pure-rand'];
const IMAGE_MEGABYTES = 1500;

export interface GuestImage { readonly initramfs: string; readonly disk: string }

function must(command: string, args: readonly string[], options: { cwd?: string; input?: string } = {}): Buffer {
  const ran = spawnSync(command, args as string[], { ...options, maxBuffer: 256 << 20 });
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr?.toString() || String(ran.error)}`);
  return ran.stdout;
}

/** What the guest boots from: an initramfs that finds the disk, and a disk with this tree and the few programs around it. */
export function makeGuestImage(options: { readonly kernel: GuestKernel; readonly directory: string; readonly helper: Uint8Array }): GuestImage {
  const { kernel, directory } = options;
  const busybox = realpathSync('/bin/busybox');
  const early = join(directory, 'early');
  for (const name of ['bin', 'proc', 'sys', 'dev', 'root', 'lib/modules']) mkdirSync(join(early, name), { recursive: true });
  copyFileSync(busybox, join(early, 'bin/busybox'));
  cpSync(kernel.moduleRoot, join(early, 'lib/modules', kernel.version), { recursive: true });
  copyFileSync(join(import.meta.dirname, 'guest-early.sh'), join(early, 'init'));
  chmodSync(join(early, 'init'), 0o755);
  const initramfs = join(directory, 'initramfs');
  writeFileSync(initramfs, must('busybox', ['cpio', '-o', '-H', 'newc'], { cwd: early, input: must('find', ['.'], { cwd: early }).toString() }));
  rmSync(early, { recursive: true });

  const root = join(directory, 'root');
  for (const name of ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'root', 'var/lib', 'var/log', 'lib/modules', 'fixtures', 'naru/dist', 'naru/node_modules', 'helper']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(busybox, join(root, 'bin/busybox'));
  symlinkSync('../../bin/busybox', join(root, 'usr/bin/busybox'));
  for (const applet of must('busybox', ['--list']).toString().trim().split('\n')) if (applet !== 'busybox') symlinkSync('/bin/busybox', join(root, 'bin', applet));
  symlinkSync('/bin/busybox', join(root, 'sbin/init'));
  symlinkSync('/bin/busybox', join(root, 'sbin/modprobe'));
  const bun = join(top, `node_modules/@oven/bun-linux-${process.arch === 'x64' ? 'x64' : 'aarch64'}/bin/bun`);
  for (const program of PROGRAMS) copyWithLibraries(program, root);
  for (const path of ELSEWHERE) copyOnce(path, root);
  for (const library of [bun, ...ELSEWHERE].flatMap(librariesOf)) copyOnce(library, root);
  cpSync(kernel.moduleRoot, join(root, 'lib/modules', kernel.version), { recursive: true });
  for (const path of TREE) cpSync(join(top, path), join(root, 'naru', path), { recursive: true });
  writeFileSync(join(root, 'helper/naru-helper'), options.helper);
  buildProbe(join(root, 'helper/probe'));
  for (const name of ['busybox.tar', 'busybox-rootfs.tar']) copyFileSync(fixture(name), join(root, 'fixtures', name));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  writeFileSync(join(root, 'etc/resolv.conf'), 'nameserver 127.0.0.1\n');
  writeFileSync(join(root, 'etc/inittab'), '::once:/naru/test/vm/guest-run.sh\n');
  const disk = join(directory, 'disk');
  must('/sbin/mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', '-E', 'lazy_itable_init=1,nodiscard', '-d', root, disk, `${IMAGE_MEGABYTES}M`]);
  rmSync(root, { recursive: true });
  return { initramfs, disk };
}

function librariesOf(program: string): string[] {
  const ran = spawnSync('ldd', [program], { encoding: 'utf8' });
  return ran.status === 0 ? [...ran.stdout.matchAll(/(\/\S+) \(0x/g)].map((m) => m[1] as string) : [];
}

function copyWithLibraries(name: string, root: string): void {
  const path = must('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${name}`]).toString().trim();
  rmSync(join(root, 'bin', name), { force: true });
  copyFileSync(path, join(root, 'usr/bin', name));
  for (const library of librariesOf(path)) copyOnce(library, root);
}

function copyOnce(path: string, root: string): void {
  const target = join(root, path);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(path, target);
}
