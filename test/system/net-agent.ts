/**
 * A program that a test runs in a network namespace: one JSON request a line on stdin, one JSON answer a line on stdout.
 * `serve` answers whoever connects (or sends) with `NAME PEER-ADDRESS`; `ask` connects and gives back what was answered, or
 * the error's code, or `timeout`.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

interface Request {
  op: 'serve' | 'ask';
  protocol: 'tcp' | 'udp';
  host: string;
  port: number;
  name: string;
  timeoutMs: number;
  localPort: number;
}

const answer = (text: string): void => void process.stdout.write(`${JSON.stringify(text)}\n`);
const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? error.message;

const handlers = {
  'serve tcp': (r: Request) =>
    createServer((socket) => {
      socket.on('error', () => {});
      socket.end(`${r.name} ${socket.remoteAddress}`);
    }).on('error', (error) => answer(codeOf(error))).listen(r.port, r.host, () => answer('ok')),
  'serve udp': (r: Request) => {
    const socket = createSocket('udp4');
    socket.on('message', (_, peer) => socket.send(`${r.name} ${peer.address}`, peer.port, peer.address));
    socket.on('error', (error) => answer(codeOf(error)));
    socket.bind(r.port, r.host, () => answer('ok'));
  },
  'ask tcp': (r: Request) => {
    const socket = connect({ host: r.host, port: r.port });
    let said = '';
    const timer = setTimeout(() => done('timeout'), r.timeoutMs);
    const done = (text: string): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {}).destroy();
      answer(text);
    };
    socket.on('data', (bytes) => (said += bytes)).on('end', () => done(said)).on('error', (error) => done(codeOf(error)));
  },
  'ask udp': (r: Request) => {
    const socket = createSocket('udp4');
    const timer = setTimeout(() => done('timeout'), r.timeoutMs);
    const done = (text: string): void => {
      clearTimeout(timer);
      socket.close();
      answer(text);
    };
    socket.on('message', (bytes) => done(String(bytes))).on('error', (error) => done(codeOf(error)));
    socket.bind(r.localPort, () => socket.send('hello', r.port, r.host));
  },
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as Request;
  handlers[`${request.op} ${request.protocol}`](request);
}).on('close', () => process.exit(0));
