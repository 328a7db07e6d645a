import { closeSync } from 'node:fs';
import { NR, O_CLOEXEC } from './numbers.ts';
import { check, pointerOf, rawSyscall, syscall } from './syscalls.ts';

export const EPOLLIN = 1, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 16;
const ADD = 1, DELETE = 2, MODIFY = 3;
/** struct epoll_event is packed on x86 alone. */
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA_AT = EVENT_BYTES - 8;
const MAX_EVENTS = 128;
const EINTR = 4;

/** epoll(7), level-triggered, for a process that has an event loop of its own. */
export class Epoll {
  readonly #fd: number;
  readonly #events = new DataView(new ArrayBuffer(EVENT_BYTES * MAX_EVENTS));
  readonly #pointer = pointerOf(new Uint8Array(this.#events.buffer));
  readonly #one = new DataView(new ArrayBuffer(EVENT_BYTES));

  constructor() {
    this.#fd = check(syscall(NR.epoll_create1, O_CLOEXEC), 'epoll_create1');
  }

  add(fd: number, events: number): void {
    check(this.#control(ADD, fd, events), `epoll: watch descriptor ${fd}`);
  }

  modify(fd: number, events: number): void {
    check(this.#control(MODIFY, fd, events), `epoll: watch descriptor ${fd} for other events`);
  }

  /** Not being watched is no failure. */
  remove(fd: number): void {
    this.#control(DELETE, fd, 0);
  }

  /** How many events there are, at most 128; waits for the first one (negative: without end). Blocks the thread. */
  wait(timeoutMs: number): number {
    const count = rawSyscall(NR.epoll_pwait, this.#fd, this.#pointer, MAX_EVENTS, timeoutMs, 0, 8);
    return count === -EINTR ? 0 : check(count, 'epoll_wait');
  }

  fdOf(event: number): number {
    return this.#events.getInt32(event * EVENT_BYTES + DATA_AT, true);
  }

  eventsOf(event: number): number {
    return this.#events.getUint32(event * EVENT_BYTES, true);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #control(operation: number, fd: number, events: number): number {
    this.#one.setUint32(0, events, true);
    this.#one.setInt32(DATA_AT, fd, true);
    return syscall(NR.epoll_ctl, this.#fd, operation, fd, new Uint8Array(this.#one.buffer));
  }
}
