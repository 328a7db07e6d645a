/**
 *   bun fake-criu.ts RECORD swrk 3
 * A criu that writes down what it is asked for (as JSON, to RECORD) and says yes. What it restores is a `sleep` in its own groups.
 */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { encodeProto, type ProtoField } from '#runtime/criu/protobuf.ts';
import { NR } from '#sys/numbers.ts';
import { check, syscall } from '#sys/syscalls.ts';

const CONNECTION = 3, RESTORE = 2, NOTIFY = 6;
const [record, ...args] = process.argv.slice(2) as [string, ...string[]];

/** Every field in order; what is no number as text in latin1. */
function fieldsOf(bytes: Buffer): [number, number | string][] {
  const fields: [number, number | string][] = [];
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = number();
    const value = number();
    fields.push([key >>> 3, (key & 7) === 0 ? value : bytes.toString('latin1', at, at + value)]);
    if ((key & 7) !== 0) at += value;
  }
  return fields;
}

const buffer = new Uint8Array(1 << 16);
const receive = (): [number, number | string][] => fieldsOf(Buffer.from(buffer.subarray(0, check(syscall(NR.recvfrom, CONNECTION, buffer, buffer.byteLength, 0, null, null), 'recvfrom'))));
function send(fields: readonly ProtoField[]): void {
  const bytes = encodeProto(fields);
  check(syscall(NR.sendto, CONNECTION, bytes, bytes.byteLength, 0, null, 0), 'sendto');
}

const request = new Map(receive());
const type = request.get(1) as number;
// Its own number and those of the directories are looked for in the caller's table.
const caller = `/proc/${process.ppid}/fd`;
const options = fieldsOf(Buffer.from(request.get(2) as string, 'latin1')).map(([field, value]) => [field, field === 1 || field === 17 ? readlinkSync(`${caller}/${value}`) : value]);
const handed = readdirSync('/proc/self/fd').map(Number).filter((fd) => fd > CONNECTION).sort((a, b) => a - b).flatMap((fd) => {
  try {
    return [[fd, readlinkSync(`/proc/self/fd/${fd}`)]];
  } catch {
    return []; // the directory that was just read
  }
});
writeFileSync(record, JSON.stringify({ args, type, options, handed, cgroup: readFileSync('/proc/self/cgroup', 'utf8'), root: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').find((line) => line.split(' ')[4] === '/') }));
let pid = 0;
if (type === RESTORE) {
  const child = spawn('/bin/busybox', ['sleep', '100'], { stdio: 'ignore', detached: true });
  child.unref();
  pid = child.pid!;
  for (const step of ['setup-namespaces', 'post-restore']) {
    send([[1, NOTIFY], [2, true], [5, [[1, step], [2, pid]]]]);
    receive();
  }
}
send([[1, type], [2, true], ...(pid === 0 ? [] : [[4, [[1, pid]]] as const])]);
process.exit(0);
