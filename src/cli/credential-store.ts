import { spawnSync } from 'node:child_process';
import { NaruError } from '#spec/errors.ts';
import type { ConfigFile } from './config-file.ts';

/** What was typed in for a registry, or what it gave instead. */
export interface Login { readonly username: string; readonly secret: string; /** The secret is an identity token. */ readonly token: boolean }

/** A helper's user name for identity tokens. */
const TOKEN = '<token>';
const NOT_FOUND = /credentials not found/i;
const DEADLINE = 60_000;
const HELPER_NAME = /^[A-Za-z0-9_.-]+$/;

/** The program that keeps a registry's login: `credHelpers` of config.json names one by registry, `credsStore` one for all others.
 *  undefined: config.json keeps it itself. */
export function helperFor(config: ConfigFile, server: string): string | undefined {
  const name = config.credHelpers?.[server] ?? config.credsStore;
  return name === undefined || name === '' ? undefined : name;
}

/** https://github.com/docker/docker-credential-helpers#development: `docker-credential-<name> get|store|erase`, the server or JSON on
 *  stdin. undefined: it knows none. Throws `unavailable` when the program fails. */
export function readFromHelper(helper: string, server: string): Login | undefined {
  const { status, output } = ask(helper, 'get', server);
  if (status !== 0) {
    if (NOT_FOUND.test(output)) return undefined;
    throw failure(helper, 'get', output);
  }
  let answer: { Username?: unknown; Secret?: unknown };
  try {
    answer = JSON.parse(output) as { Username?: unknown; Secret?: unknown };
  } catch {
    throw failure(helper, 'get', 'its answer is not JSON');
  }
  if (typeof answer?.Username !== 'string' || typeof answer.Secret !== 'string') throw failure(helper, 'get', 'its answer lacks Username or Secret');
  return { username: answer.Username === TOKEN ? '' : answer.Username, secret: answer.Secret, token: answer.Username === TOKEN };
}

export function keepInHelper(helper: string, server: string, login: Login): void {
  const { status, output } = ask(helper, 'store', JSON.stringify({ ServerURL: server, Username: login.token ? TOKEN : login.username, Secret: login.secret }));
  if (status !== 0) throw failure(helper, 'store', output);
}

export function eraseFromHelper(helper: string, server: string): void {
  const { status, output } = ask(helper, 'erase', server);
  if (status !== 0 && !NOT_FOUND.test(output)) throw failure(helper, 'erase', output);
}

function ask(helper: string, action: string, input: string): { status: number; output: string } {
  if (!HELPER_NAME.test(helper)) throw new NaruError('invalid', `credential helper ${JSON.stringify(helper)} in config.json is not a name`);
  const program = `docker-credential-${helper}`;
  const result = spawnSync(program, [action], { input, encoding: 'utf8', timeout: DEADLINE, stdio: ['pipe', 'pipe', 'inherit'] });
  if (result.error !== undefined) {
    throw new NaruError('unavailable', `error getting credentials - err: exec: "${program}": ${(result.error as NodeJS.ErrnoException).code === 'ENOENT' ? 'executable file not found in $PATH' : result.error.message}`, { cause: result.error });
  }
  return { status: result.status ?? 128, output: result.stdout.trim() };
}

const failure = (helper: string, action: string, output: string): NaruError =>
  new NaruError('unavailable', `error ${action === 'get' ? 'getting' : action === 'store' ? 'storing' : 'erasing'} credentials - err: docker-credential-${helper}: ${output.slice(0, 500)}`);
