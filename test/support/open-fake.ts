import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Credentials } from '#registry/client/credentials.ts';
import { openRepository, type RegistryClientOptions, type Repository } from '#registry/client/repository.ts';
import type { FakeRegistry } from './fake-registry.ts';

/** Waits of next to nothing, always the same. */
export const QUICK = { attempts: 4, base: 1, most: 4, random: () => 0.5 };

export const options = (extra: Partial<RegistryClientOptions> = {}): RegistryClientOptions => ({ directories: { registries: '/nonexistent' }, retry: QUICK, patience: 2000, env: {}, ...extra });

/** A client of a fake registry's repository; closed with `using`. */
export function openFake(registry: FakeRegistry, { path = 'library/x', credentials = {}, ...extra }: { path?: string; credentials?: Credentials } & Partial<RegistryClientOptions> = {}): Repository & Disposable {
  const repository = openRepository({ domain: registry.host, path }, credentials, options(extra));
  return Object.assign(repository, { [Symbol.dispose]: () => repository.close() });
}

/** A directory with host files. */
export function hostFiles(files: Record<string, unknown>): { registries: string; [Symbol.dispose](): void } {
  const registries = mkdtempSync(join(tmpdir(), 'naru-registries.'));
  for (const [host, content] of Object.entries(files)) writeFileSync(join(registries, `${host}.json`), typeof content === 'string' ? content : JSON.stringify(content));
  return { registries, [Symbol.dispose]: () => rmSync(registries, { recursive: true }) };
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of bytes) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
