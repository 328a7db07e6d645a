import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RegistryProcess } from './registry-process.ts';

/** users: name to password; token: whose tokens count (PEM file of the certificate); tls: PEM files. */
interface DockerRegistryOptions { users?: Record<string, string>; token?: { realm: string; service: string; issuer: string; certificate: string }; tls?: { certificate: string; key: string } }

/** Debian's docker-registry. */
export const DockerRegistry = {
  start: ({ users, token, tls }: DockerRegistryOptions = {}): Promise<DockerRegistry> => RegistryProcess.start(({ directory, port }) => {
    const auth = token !== undefined ? `auth: {token: {realm: "${token.realm}", service: "${token.service}", issuer: "${token.issuer}", rootcertbundle: ${token.certificate}}}\n`
      : users === undefined ? '' : `auth: {htpasswd: {realm: test, path: ${directory}/htpasswd}}\n`;
    if (users !== undefined) writeFileSync(join(directory, 'htpasswd'), Object.entries(users).map(([name, password]) => bcryptLine(name, password)).join(''));
    writeFileSync(join(directory, 'config.yml'), `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${directory}/data}, delete: {enabled: true}}\n${auth}http: {addr: "127.0.0.1:${port}"${tls === undefined ? '' : `, tls: {certificate: ${tls.certificate}, key: ${tls.key}}`}}\n`);
    return ['docker-registry', 'serve', join(directory, 'config.yml')];
  }),
};
export type DockerRegistry = RegistryProcess;

function bcryptLine(name: string, password: string): string {
  const { stdout, status } = spawnSync('python3', ['-c', 'import crypt,sys;print(crypt.crypt(sys.argv[1],"$2y$05$"+"abcdefghijklmnopqrstuu"))', password], { encoding: 'utf8' });
  if (status !== 0 || !stdout.startsWith('$2')) throw new Error('python3 cannot make a bcrypt hash');
  return `${name}:${stdout}`;
}
