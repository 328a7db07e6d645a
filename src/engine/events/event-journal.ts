import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { EventMessage, Filters, StringMap } from '#spec/engine-api.ts';
import { nowNano } from '../time/timestamps.ts';
import { checkEventFilters, matchesEvent } from './event-filters.ts';

/** Bytes of one segment (read at once: a few milliseconds), and how many are kept: 16 MiB of events at most. */
export const SEGMENT_BYTES = 512 * 1024;
export const SEGMENTS = 32;
/** Events kept in memory for followers that keep up. */
const RING = 1024;

/**
 * What happened, on disk and in order. `timeNano` is strictly increasing and thereby a cursor: a follower asks for what came after the
 * last event that it saw, so a slow one costs no memory and misses nothing while the journal still holds it; when it does not, the
 * follower is told so by an event `daemon gap`.
 */
export interface EventJournal {
  emit(type: string, action: string, actor: { id: string; attributes: StringMap }): void;
  /** From `since` (0n: from now on) to `until` (0n: until the signal aborts). Throws invalid for unknown filters. */
  read(options: { since: bigint; until: bigint; filters: Filters }, signal: AbortSignal): AsyncIterable<EventMessage>;
  close(): void;
}

/** Opens or creates the journal in `directory`. A line torn by a power cut is skipped. */
export function openEventJournal(directory: string): EventJournal {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const segments = readdirSync(directory).filter((name) => name.endsWith('.jsonl')).sort();
  const ring: EventMessage[] = [];
  const wakers = new Set<() => void>();
  let fd = -1;
  let size = 0;
  let lastNano = 0n;
  /** Events up to this time are no longer in the journal. */
  let trimmed = 0n;
  let closed = false;

  const readSegment = (name: string): EventMessage[] => {
    const events: EventMessage[] = [];
    for (const line of readFileSync(join(directory, name), 'utf8').split('\n')) {
      if (line === '') continue;
      try {
        events.push(JSON.parse(line) as EventMessage);
      } catch {
        // torn by a power cut
      }
    }
    return events;
  };

  const newest = segments.at(-1);
  if (newest !== undefined) {
    const events = readSegment(newest);
    ring.push(...events.slice(-RING));
    lastNano = nanoOf(ring.at(-1));
    fd = openSync(join(directory, newest), 'a', 0o600);
    size = statSync(join(directory, newest)).size;
    // Ends a torn line, so that the next one is whole.
    if (size > 0) size += writeSync(fd, '\n');
  }

  const roll = (nano: bigint): void => {
    if (fd >= 0) closeSync(fd);
    const name = `${nano.toString().padStart(20, '0')}.jsonl`;
    fd = openSync(join(directory, name), 'a', 0o600);
    size = 0;
    segments.push(name);
    while (segments.length > SEGMENTS) {
      rmSync(join(directory, segments.shift() as string), { force: true });
      trimmed = BigInt((segments[0] as string).slice(0, 20)) - 1n;
    }
  };

  /** What came after `cursor`, oldest first; from memory when it is all there. */
  function* after(cursor: bigint): Generator<EventMessage> {
    const oldest = ring[0];
    if (oldest === undefined) return;
    if (nanoOf(oldest) > cursor) {
      const names = segments.filter((_, i) => i === segments.length - 1 || BigInt((segments[i + 1] as string).slice(0, 20)) > cursor);
      for (const name of names) {
        let events: EventMessage[];
        try {
          events = readSegment(name);
        } catch {
          continue; // trimmed meanwhile: the gap is found by the next round
        }
        for (const event of events) if (nanoOf(event) > cursor) yield event;
      }
      return;
    }
    let low = 0;
    for (let high = ring.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (nanoOf(ring[middle]) > cursor) high = middle;
      else low = middle + 1;
    }
    yield* ring.slice(low);
  }

  return {
    emit(type, action, { id, attributes }) {
      if (closed) return;
      // Multiples of 512 ns are exact as JavaScript numbers until the year 2043, so that the cursor survives JSON.
      const now = (nowNano() | 511n) + 1n;
      lastNano = now > lastNano ? now : lastNano + 512n;
      const event = message(type, action, { id, attributes, nano: lastNano });
      try {
        if (fd < 0 || size > SEGMENT_BYTES) roll(lastNano);
        size += writeSync(fd, `${JSON.stringify(event)}\n`);
      } catch {
        // A full disk must not stop containers: the event still reaches those who listen now.
      }
      ring.push(event);
      if (ring.length > RING * 2) ring.splice(0, RING);
      for (const wake of [...wakers]) wake();
    },
    async *read({ since, until, filters }, signal) {
      checkEventFilters(filters);
      let cursor = since === 0n ? lastNano : since - 1n;
      const live = until === 0n || until > nowNano();
      if (since === 0n && !live) return;
      let sawStart = since === 0n;
      while (!signal.aborted && !closed) {
        if (sawStart && cursor < trimmed) {
          yield message('daemon', 'gap', { id: '', attributes: { reason: 'this reader was too slow: older events are no longer in the journal' }, nano: trimmed });
          cursor = trimmed;
        }
        for (const event of after(cursor)) {
          const nano = nanoOf(event);
          if (until !== 0n && nano > until) return;
          cursor = nano;
          if (matchesEvent(event, filters)) yield event;
          if (signal.aborted) return;
          if (cursor < trimmed) break;
        }
        sawStart = true;
        if (!live) return;
        if (cursor >= lastNano && !(await sleep(until, signal))) return;
      }
    },
    close() {
      closed = true;
      for (const wake of [...wakers]) wake();
      if (fd >= 0) closeSync(fd);
      fd = -1;
    },
  };

  /** Until something happens; false when `until` has passed or nobody listens any more. */
  function sleep(until: bigint, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (goOn: boolean): void => {
        wakers.delete(wake);
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        resolve(goOn);
      };
      const wake = (): void => done(!closed);
      const abort = (): void => done(false);
      const left = until === 0n ? 3_600_000 : Number((until - nowNano()) / 1_000_000n) + 1;
      // A timer for `until` ends the reading; the hourly one only looks around.
      const timer = setTimeout(() => done(until === 0n || left > 3_600_000), Math.max(0, Math.min(left, 3_600_000)));
      timer.unref?.();
      wakers.add(wake);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}

const nanoOf = (event: EventMessage | undefined): bigint => (event === undefined ? 0n : BigInt(event.timeNano));

function message(type: string, action: string, { id, attributes, nano }: { id: string; attributes: StringMap; nano: bigint }): EventMessage {
  const legacy = type === 'container' ? { status: action, id, from: attributes['image'] ?? '' } : type === 'image' ? { status: action, id } : {};
  return {
    ...legacy, Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, scope: 'local',
    time: Number(nano / 1_000_000_000n), timeNano: Number(nano),
  };
}
