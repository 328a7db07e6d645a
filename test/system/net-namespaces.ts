import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { findLink } from '#net/host-network.ts';
import type { NetlinkStep } from '#spec/network-steps.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { CLONE_NEWNET, NR } from '#sys/numbers.ts';
import { check, syscall } from '#sys/syscalls.ts';

/** Run a program; its output, or an error with what it said. */
export function run(program: string, ...args: string[]): string {
  const result = spawnSync(program, args, { encoding: 'utf8' });
  if (result.status === 0) return result.stdout;
  throw new Error(`${program} ${args.join(' ')}: ${result.error?.message ?? result.stderr}`);
}

/** A network namespace of a test's own, by the name that `ip netns` has for it: the one given, and this process's number. */
export class TestNamespace {
  readonly name: string;
  readonly fd: number;

  /** `of`: not a new one, but that of this process; it stays as long as it is held here, whatever becomes of the process. */
  constructor(name: string, of?: number) {
    this.name = `${name}-${process.pid}`;
    run('ip', 'netns', ...(of === undefined ? ['add', this.name] : ['attach', this.name, String(of)]));
    this.fd = openSync(`/run/netns/${this.name}`, 'r');
    if (of === undefined) this.ip('link', 'set', 'lo', 'up');
  }

  ip(...args: string[]): string {
    return run('ip', '-n', this.name, ...args);
  }

  exec(program: string, ...args: string[]): string {
    return run('ip', 'netns', 'exec', this.name, program, ...args);
  }

  /** Do synchronous work with this thread in the namespace. */
  within<T>(work: () => T): T {
    const home = openSync('/proc/thread-self/ns/net', 'r');
    check(syscall(NR.setns, this.fd, CLONE_NEWNET), `enter ${this.name}`);
    try {
      return work();
    } finally {
      check(syscall(NR.setns, home, CLONE_NEWNET), 'come back');
      closeSync(home);
    }
  }

  /** Make this the network of this thread, and of every program and daemon that it starts from now on, until the function that is returned is called: that
   *  removes it. For a file of tests that shall see no other network of the machine than its own. */
  enter(): () => void {
    const home = openSync('/proc/thread-self/ns/net', 'r');
    check(syscall(NR.setns, this.fd, CLONE_NEWNET), `enter ${this.name}`);
    return () => {
      check(syscall(NR.setns, home, CLONE_NEWNET), 'come back');
      closeSync(home);
      this.remove();
    };
  }

  remove(): void {
    closeSync(this.fd);
    run('ip', 'netns', 'del', this.name);
  }
}

/** Do what the shim does with the steps: fill in, send, read the acknowledgements. */
export function runSteps(steps: readonly NetlinkStep[], host: TestNamespace, container: TestNamespace): void {
  for (const step of steps) {
    (step.where === 'host' ? host : container).within(() => {
      const socket = new NetlinkSocket(step.protocol);
      try {
        const bytes = step.batch.slice();
        const view = new DataView(bytes.buffer);
        for (const patch of step.patches) {
          if (patch.kind === 'child-netns-fd') view.setUint32(patch.offset, container.fd, true);
          else if (patch.kind === 'ifindex') view.setUint32(patch.offset, findLink(socket, patch.name)!.index, true);
        }
        socket.exchange(bytes, step.acks, (index) => `${step.why} (message ${index})`);
      } finally {
        socket.close();
      }
    });
  }
}
