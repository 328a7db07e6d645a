import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { importPKCS8, SignJWT } from 'jose';

export interface Certificate { certificate: string; key: string }

/** A certificate of its own authority for 127.0.0.1, as PEM files `<directory>/<name>.crt` and `.key`. */
export function makeCertificate(directory: string, name: string): Certificate {
  const files = { certificate: `${directory}/${name}.crt`, key: `${directory}/${name}.key` };
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', files.key, '-out', files.certificate, '-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  return files;
}

/** A token server as https://distribution.github.io/distribution/spec/auth/token/ describes it: everything for the one user, pulls of `public/…` for everybody. */
export class TokenServer implements AsyncDisposable {
  readonly realm: string;
  readonly service = 'test-service';
  readonly issuer = 'test-issuer';
  /** Scopes that were asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  }

  static async start({ certificate, key }: Certificate, user: { name: string; password: string }): Promise<TokenServer> {
    const signing = await importPKCS8(readFileSync(key, 'utf8'), 'ES256');
    const chain = [readFileSync(certificate, 'utf8').replace(/-----[^-]+-----|\s/g, '')];
    let tokens: TokenServer | undefined;
    const server = createServer((request, response) => void (async () => {
      const url = new URL(request.url as string, 'http://t');
      const known = request.headers.authorization === `Basic ${Buffer.from(`${user.name}:${user.password}`).toString('base64')}`;
      if (request.headers.authorization !== undefined && !known) return response.writeHead(401).end('{"details":"incorrect username or password"}');
      const scopes = url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '));
      tokens?.asked.push(...scopes);
      const access = scopes.flatMap((scope) => {
        const match = /^repository:(.+):([a-z,*]+)$/.exec(scope);
        if (match === null) return [];
        const actions = (match[2] as string).split(',').filter((action) => known || (action === 'pull' && match[1]?.startsWith('public/')));
        return [{ type: 'repository', name: match[1], actions }];
      });
      const now = Math.floor(Date.now() / 1000);
      const token = await new SignJWT({ access, iss: tokens?.issuer ?? '', sub: known ? user.name : '', aud: url.searchParams.get('service') ?? '', iat: now - 1, nbf: now - 1, exp: now + 300, jti: String(Math.random()) })
        .setProtectedHeader({ alg: 'ES256', typ: 'JWT', x5c: chain }).sign(signing);
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ token, expires_in: 300 }));
    })());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (tokens = new TokenServer(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
