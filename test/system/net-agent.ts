/**
 * A program that a test runs in a network namespace: one JSON request a line on stdin, one JSON answer a line on stdout.
 * `serve` answers whoever connects (or sends) with `NAME PEER-ADDRESS`; `ask` connects and gives back what was answered, or
 * the error's code, or `timeout`. A server named `echo` sends back what it gets; `open` connects to one and stays connected, `say`
 * sends a word over that connection and gives back the answer.
 */
import { createSocket } from 'node:dgram';
import { type Socket, connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

interface Request {
  op: 'serve' | 'ask' | 'open' | 'say';
  protocol: 'tcp' | 'udp';
  host: string;
  port: number;
  name: string;
  timeoutMs: number;
  localPort: number;
}

const answer = (text: string): void => void process.stdout.write(`${JSON.stringify(text)}\n`);
const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? error.message;

let kept: Socket | undefined;

const handlers: Record<string, (r: Request) => void> = {
  'serve tcp': (r: Request) =>
    createServer((socket) => {
      socket.on('error', () => {});
      if (r.name === 'echo') socket.pipe(socket);
      else socket.end(`${r.name} ${socket.remoteAddress}`);
    }).on('error', (error) => answer(codeOf(error))).listen(r.port, r.host, () => answer('ok')),
  'serve udp': (r: Request) => {
    const socket = createSocket(r.host.includes(':') ? 'udp6' : 'udp4');
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
    const socket = createSocket(r.host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => done('timeout'), r.timeoutMs);
    const done = (text: string): void => {
      clearTimeout(timer);
      socket.close();
      answer(text);
    };
    socket.on('message', (bytes) => done(String(bytes))).on('error', (error) => done(codeOf(error)));
    socket.bind(r.localPort, () => socket.send('hello', r.port, r.host));
  },
  'open tcp': (r: Request) => {
    kept = connect({ host: r.host, port: r.port }, () => answer('ok')).on('error', (error) => answer(codeOf(error)));
  },
  'say tcp': (r: Request) => {
    kept!.once('data', (bytes) => answer(String(bytes)));
    kept!.write(r.name);
  },
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as Request;
  handlers[`${request.op} ${request.protocol}`]!(request);
}).on('close', () => process.exit(0));
