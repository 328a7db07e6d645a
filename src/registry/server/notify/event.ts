import { randomUUID } from 'node:crypto';
import type { Call } from '../http/call.ts';

/** One entry of the envelope that Docker's registry sends: https://distribution.github.io/distribution/about/notifications/ */
export interface RegistryEvent {
  id: string;
  timestamp: string;
  action: 'push' | 'pull' | 'mount' | 'delete';
  target: { mediaType?: string; digest?: string; size?: number; length?: number; repository: string; tag?: string; fromRepository?: string };
  request: { id: string; addr: string; method: string; useragent: string };
  actor: { name?: string };
}
export interface EventSink { emit(event: RegistryEvent): void }

export const eventOf = (call: Call, action: RegistryEvent['action'], target: RegistryEvent['target']): RegistryEvent => ({
  id: randomUUID(), timestamp: new Date().toISOString(), action,
  target: target.size === undefined ? target : { ...target, length: target.size },
  request: { id: call.id, addr: call.remote, method: call.method, useragent: call.header('user-agent').slice(0, 200) },
  actor: call.caller.user === undefined ? {} : { name: call.caller.user },
});
