import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, afterEach, before, test } from 'node:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon, type Ran } from './daemon.ts';

/** Whose command line: Docker's own, or ours. */
export type Cli = 'docker' | 'naru';
export type Call = (...args: string[]) => Ran;
export const CLIS: readonly Cli[] = ['docker', 'naru'];

export interface Suite {
  /** The file's daemon, up from the first test on. */
  readonly d: TestDaemon;
  /** A directory of this file's own, removed at the end. */
  readonly scratch: string;
  /** One test with each command line. */
  readonly both: (name: string, body: (call: Call, cli: Cli) => void | Promise<void>) => void;
  /** `docker inspect -f`, trimmed; the container must be there. */
  readonly inspect: (name: string, format: string) => string;
}

/** The opening of a file of system tests: one daemon for the file, the leak oracle after every test, everything removed at the end. */
export function suite(options: { images?: readonly string[]; clis?: readonly Cli[]; daemon?: readonly string[]; prepare?: (daemon: TestDaemon) => void } = {}): Suite {
  let daemon: TestDaemon | undefined;
  const scratch = mkdtempSync(join(tmpdir(), 'naru-suite.'));
  before(async () => {
    daemon = await TestDaemon.start(options);
  });
  afterEach(async () => {
    assert.equal(await daemon!.leaked(), '');
  });
  after(async () => {
    await daemon?.destroy();
    rmSync(scratch, { recursive: true, force: true });
  });
  // Stands for a daemon that the file names before it is started.
  const d = new Proxy({} as TestDaemon, {
    get: (_, key) => {
      if (daemon === undefined) throw new Error('the daemon of this file is started before its first test, not while the file is read');
      const value: unknown = Reflect.get(daemon, key, daemon);
      return typeof value === 'function' ? (value.bind(daemon) as unknown) : value;
    },
  });
  return {
    d,
    scratch,
    both(name, body) {
      for (const cli of options.clis ?? CLIS) test(`${cli}: ${name}`, () => body((...args) => d[cli](...args), cli));
    },
    inspect: (name, format) => d.ok('inspect', '-f', format, name),
  };
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `check` holds, at most `seconds`; then fails with `what`. */
export async function until(what: string, check: () => boolean, seconds = 10): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !check(); await sleep(50)) {
    if (Date.now() > end) assert.fail(`never: ${what}`);
  }
}

/** The verbs and flags that Docker's command line names in its help: what is there to be exercised. */
export interface Surface { readonly flags: ReadonlyMap<string, { readonly value: boolean; readonly short: string | undefined }> }

/** `docker VERB --help`, read. */
export function dockerFlags(verb: string): Surface['flags'] {
  const { stdout } = spawnSync('docker', [...verb.split(' '), '--help'], { encoding: 'utf8' });
  const rows = [...stdout.matchAll(/^ +(?:-(\w), )?--([\w-]+)( \w+)?(?:\s{2,}|$)/gm)].map((m) => [m[2]!, { value: m[3] !== undefined, short: m[1] }] as const);
  return new Map(rows);
}

/** The subcommands of `docker GROUP` (or of `docker` itself, for ''). */
export function dockerVerbs(group: string): string[] {
  const { stdout } = spawnSync('docker', [...(group === '' ? [] : [group]), '--help'], { encoding: 'utf8' });
  return [...stdout.matchAll(/^ {2}(\w+)\*? {2,}\S/gm)].map((m) => m[1]!);
}
