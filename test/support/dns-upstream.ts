import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A name server for tests, on port 53 of all addresses of a network namespace. Each name that it knows has a vice of its own; every question that
 * reaches it is a line `udp name type` on its standard output, once it said `ready`.
 *
 *   NAME.a.test      A 192.0.2.1; its additional section claims that `web` is 6.6.6.6
 *   big.test         TXT of 8000 octets: cut over UDP, whole over TCP
 *   huge.test        TXT of 62500 octets, as big.test, in pieces
 *   fails.test       SERVFAIL
 *   silent.test      no answer, nor to any name that begins with `mute`
 *   lower.test       answers with the name in lower case over UDP, rightly over TCP: A 192.0.2.2
 *   forged.test      first a true one from another port, then an answer with another id, one to another question, one with a compression loop, all 6.6.6.6; then 192.0.2.3
 *   loop.test        nothing but an answer with a compression loop
 *   _s._tcp.srv.test SRV 1 2 80 target.a.test
 *   N.N.N.N.at.test  A N.N.N.N
 *   all others       NXDOMAIN
 * With the word `silent` it never answers anything.
 */
const TYPES: Readonly<Record<number, string>> = { 1: 'A', 12: 'PTR', 15: 'MX', 16: 'TXT', 28: 'AAAA', 33: 'SRV' };

interface Query { readonly id: number; readonly name: string; readonly nameEnd: number; readonly type: number; readonly bytes: Buffer }

function parse(bytes: Buffer): Query {
  const labels: string[] = [];
  let at = 12;
  for (; bytes[at]! > 0; at += bytes[at]! + 1) labels.push(bytes.toString('latin1', at + 1, at + 1 + bytes[at]!));
  return { id: bytes.readUInt16BE(0), name: labels.join('.').toLowerCase(), nameEnd: at + 1, type: bytes.readUInt16BE(at + 1), bytes };
}

interface Answer { readonly code?: number; readonly records?: readonly Buffer[]; readonly additional?: readonly Buffer[]; readonly cut?: boolean; readonly id?: number; readonly question?: Buffer }

const wireName = (name: string): Buffer => Buffer.concat([...name.split('.').flatMap((label) => [Buffer.of(label.length), Buffer.from(label)]), Buffer.of(0)]);

function record(owner: Buffer, type: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(60, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

function encode(query: Query, { code = 0, records = [], additional = [], cut = false, id = query.id, question }: Answer): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x8180 | (cut ? 0x200 : 0) | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt16BE(additional.length, 10);
  return Buffer.concat([header, question ?? query.bytes.subarray(12, query.nameEnd + 4), ...records, ...additional]);
}

const SELF = Buffer.of(0xc0, 12);
const a = (...octets: number[]): Buffer => record(SELF, 1, Buffer.from(octets));
const forged = (): Buffer => a(6, 6, 6, 6);
/** A name that is a pointer to itself. */
const loop = (query: Query): Buffer => record(Buffer.of(0xc0 | ((query.nameEnd + 4) >> 8), (query.nameEnd + 4) & 255), 5, Buffer.of(0xc0, 12));
/** A label that says it is longer than the message. */
const broken = (): Buffer => Buffer.from([40, 1, 2]);

function answersTo(query: Query, tcp: boolean): Buffer[] {
  const { name } = query;
  const question = query.bytes.subarray(12, query.nameEnd + 4);
  if (name === 'big.test' || name === 'huge.test') {
    if (!tcp) return [encode(query, { cut: true })];
    return [encode(query, { records: [record(SELF, 16, Buffer.concat(Array.from({ length: name === 'big.test' ? 32 : 250 }, () => Buffer.concat([Buffer.of(249), Buffer.alloc(249, 0x78)]))))] })];
  }
  if (name === 'fails.test') return [encode(query, { code: 2 })];
  if (name === 'silent.test' || name.startsWith('mute')) return [];
  if (name === 'lower.test') {
    const lower = Buffer.from(question.toString('latin1').toLowerCase(), 'latin1');
    return [encode(query, { records: [a(192, 0, 2, 2)], question: tcp ? question : lower })];
  }
  if (name === 'forged.test') {
    return [
      encode(query, { id: query.id ^ 1, records: [forged()] }),
      encode(query, { question: Buffer.concat([wireName('other.test'), Buffer.of(0, 1, 0, 1)]), records: [forged()] }),
      encode(query, { records: [forged(), broken()] }),
      encode(query, { records: [a(192, 0, 2, 3)] }),
    ];
  }
  if (name === 'loop.test') return [encode(query, { records: [loop(query)] })];
  if (name === '_s._tcp.srv.test') return [encode(query, { records: [record(SELF, 33, Buffer.concat([Buffer.of(0, 1, 0, 2, 0, 80), wireName('target.a.test')]))] })];
  const at = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.at\.test$/.exec(name);
  if (at !== null) return [encode(query, { records: query.type === 1 ? [a(...at.slice(1).map(Number))] : [] })];
  if (name.endsWith('.a.test') && query.type === 1) return [encode(query, { records: [a(192, 0, 2, 1)], additional: [record(wireName('web'), 1, Buffer.from([6, 6, 6, 6]))] })];
  if (name.endsWith('.a.test')) return [encode(query, {})];
  return [encode(query, { code: 3 })];
}

async function serve(silent: boolean): Promise<void> {
  const say = (protocol: string, { name, type }: Query): void => void writeSync(1, `${protocol} ${name} ${TYPES[type] ?? type}\n`);
  const udp = createSocket('udp4'), stranger = createSocket('udp4');
  udp.on('message', (bytes, { port, address }) => {
    const query = parse(bytes);
    say('udp', query);
    if (silent) return;
    const reply = (): void => answersTo(query, false).forEach((answer) => udp.send(answer, port, address));
    if (query.name === 'forged.test') stranger.send(encode(query, { records: [forged()] }), port, address, () => setTimeout(reply, 20));
    else reply();
  });
  await new Promise<void>((resolve) => udp.bind(53, '0.0.0.0', resolve));
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      const query = parse(bytes.subarray(2));
      say('tcp', query);
      if (silent) return;
      for (const answer of answersTo(query, true)) {
        const all = Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 255), answer]);
        const parts = query.name === 'huge.test' ? [all.subarray(0, 1), all.subarray(1, 40_000), all.subarray(40_000)] : [all];
        for (const [i, part] of parts.entries()) setTimeout(() => socket.write(part), 20 * i);
      }
    });
  });
  await new Promise<void>((resolve) => tcp.listen(53, '0.0.0.0', resolve));
  writeSync(1, 'ready\n');
}

/** The server in the network namespace of a process. */
export class DnsUpstream implements Disposable {
  readonly #process: ChildProcess;
  readonly #directory: string;

  private constructor(process: ChildProcess, directory: string) {
    this.#process = process;
    this.#directory = directory;
  }

  static async inNamespaceOf(pid: number, words: readonly string[] = []): Promise<DnsUpstream> {
    const directory = mkdtempSync(join(tmpdir(), 'naru-upstream.'));
    const out = openSync(join(directory, 'asked'), 'w');
    const child = spawn('nsenter', ['-t', String(pid), '-n', process.execPath, import.meta.filename, ...words], { stdio: ['ignore', out, 'inherit'] });
    closeSync(out);
    const server = new DnsUpstream(child, directory);
    for (let i = 0; !server.#lines().includes('ready'); i++) {
      if (child.exitCode !== null || i > 500) throw new Error(`the name server in the namespace of ${pid} did not come up`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return server;
  }

  /** What it was asked so far: `udp name type`. */
  get asked(): string[] {
    return this.#lines().filter((line) => line !== 'ready');
  }

  #lines(): string[] {
    return readFileSync(join(this.#directory, 'asked'), 'utf8').split('\n').filter((line) => line !== '');
  }

  [Symbol.dispose](): void {
    this.#process.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

if (import.meta.main) await serve(process.argv[2] === 'silent');
