import { writeFileSync } from 'node:fs';
import { closeQuietly, setNonblocking } from '#sys/descriptors.ts';
import { NamespaceVisitor } from '#sys/raw-sockets.ts';
import { IdleTrimmer } from '#sys/trim-memory.ts';
import { ControlServer } from './control-server.ts';
import { Reactor } from './reactor.ts';
import { Resolver } from './resolver.ts';

/** The listening control socket. */
export const LISTENER_FD = 3;
/** How long it stays when there is no container left. */
const LINGER_MS = 750;
/** Kept when memory is short: it serves many, and is small. */
const OOM_SCORE = '-900';

/**
 * `naru internal dns`: the resolver of all containers on user-defined networks. Descriptor 3 listens for the daemon and for containers' plans
 * (control-server.ts). Ends when no container has needed it for a while; everything that it knows can be told again.
 */
export function runResolver(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', OOM_SCORE);
  } catch {
    // then it is as likely to be killed as others
  }
  setNonblocking(LISTENER_FD);
  const reactor = new Reactor();
  const resolver = new Resolver(reactor, new NamespaceVisitor());
  const control = new ControlServer(LISTENER_FD, { reactor, resolver });
  const trimmer = new IdleTrimmer();
  let emptySince = Infinity;
  const isNeeded = (): boolean => {
    emptySince = resolver.clients.size > 0 ? Infinity : Math.min(emptySince, performance.now());
    return performance.now() < emptySince + LINGER_MS;
  };
  reactor.onTick((now) => Math.min(emptySince + LINGER_MS, trimmer.tick(now)));
  reactor.run(() => !control.ended && isNeeded());
  closeQuietly(LISTENER_FD);
}
