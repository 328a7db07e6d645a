import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A server of FUSE (linux/fuse.h) with one file, `file`, that is asked for everything: nothing it says may be kept. */
const SERVER = `
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
static volatile sig_atomic_t silent;
static void be_silent(int signal) { (void)signal; silent = 1; }
static int fuse;
static void answer(const struct fuse_in_header *in, int error, const void *body, size_t size) {
  struct fuse_out_header out = {.len = sizeof out + size, .error = -error, .unique = in->unique};
  struct iovec parts[2] = {{&out, sizeof out}, {(void *)body, size}};
  if (writev(fuse, parts, size > 0 ? 2 : 1) < 0) perror("answer");
}
static struct fuse_attr attributes(unsigned long node) {
  return (struct fuse_attr){.ino = node, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644, .nlink = 1, .size = node == 1 ? 0 : 6, .blksize = 512};
}
int main(int argc, char **argv) {
  static char request[1 << 20];
  char options[128];
  fuse = open("/dev/fuse", O_RDWR);
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
  if (fuse < 0 || argc != 2 || mount("naru-hanging", argv[1], "fuse", 0, options) < 0) { perror("mount"); return 1; }
  signal(SIGUSR1, be_silent);
  puts("mounted");
  fflush(stdout);
  for (;;) {
    if (read(fuse, request, sizeof request) < 0) {
      if (errno == EINTR || errno == ENOENT) continue;
      return 0;
    }
    struct fuse_in_header *in = (void *)request;
    const void *body = in + 1;
    if (silent) continue;
    switch (in->opcode) {
      case FUSE_INIT: {
        const struct fuse_init_in *asked = body;
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = asked->minor < FUSE_KERNEL_MINOR_VERSION ? asked->minor : FUSE_KERNEL_MINOR_VERSION, .max_write = 65536};
        answer(in, 0, &out, sizeof out);
        break;
      }
      case FUSE_LOOKUP: {
        struct fuse_entry_out out = {.nodeid = 2, .attr = attributes(2)};
        if (strcmp(body, "file") == 0) answer(in, 0, &out, sizeof out); else answer(in, ENOENT, 0, 0);
        break;
      }
      case FUSE_GETATTR: {
        struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
        answer(in, 0, &out, sizeof out);
        break;
      }
      case FUSE_OPEN: case FUSE_OPENDIR: {
        struct fuse_open_out out = {.fh = 1};
        answer(in, 0, &out, sizeof out);
        break;
      }
      case FUSE_READ: {
        const struct fuse_read_in *asked = body;
        answer(in, 0, "hello\\n", asked->offset == 0 ? 6 : 0);
        break;
      }
      case FUSE_READDIR: case FUSE_RELEASE: case FUSE_RELEASEDIR: case FUSE_FLUSH:
        answer(in, 0, 0, 0);
        break;
      case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT:
        break;
      default:
        answer(in, ENOSYS, 0, 0);
    }
  }
}`;

/** A file system that can stop answering, as a network's does when its server goes: who waits for it then cannot be killed. */
export interface HangingFiles {
  readonly path: string;
  /** From now on it takes questions and answers none. */
  hang(): void;
  /** Ends it: all who wait are told so. Again is fine. */
  end(): Promise<void>;
}

/** Mounts one at `<directory>/<name>`; `file` in it holds `hello`. */
export async function mountHangingFiles(directory: string, name: string): Promise<HangingFiles> {
  const [program, path] = [join(directory, 'hanging'), join(directory, name)];
  writeFileSync(`${program}.c`, SERVER);
  const compiled = spawnSync('cc', ['-O1', '-o', program, `${program}.c`], { encoding: 'utf8' });
  assert.equal(compiled.status, 0, compiled.stderr);
  mkdirSync(path);
  const server = spawn(program, [path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(server.stdout, 'data')) as [Buffer];
  assert.equal(said.toString(), 'mounted\n');
  return {
    path,
    hang: () => void server.kill('SIGUSR1'),
    async end() {
      if (server.exitCode === null && server.signalCode === null) {
        const gone = once(server, 'exit');
        server.kill('SIGKILL');
        await gone;
      }
      spawnSync('umount', ['-l', path]);
    },
  };
}
