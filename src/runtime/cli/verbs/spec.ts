import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { Verb } from '../context.ts';
import { bool, parseFlags } from '../flags.ts';

/** `spec [--bundle DIR] [--rootless]`: a config.json to begin with. */
export const spec: Verb = (words) => {
  const { flags } = parseFlags(words, { bundle: { kind: 'text', short: 'b' }, rootless: bool });
  const file = join(flags.bundle ?? '.', 'config.json');
  if (existsSync(file)) throw new NaruError('conflict', `File ${file} exists. Remove it first`);
  const config = defaultSpec();
  config.process!.terminal = true;
  config.process!.env!.push('TERM=xterm');
  config.root!.readonly = true;
  config.hostname = 'naru';
  if (flags.rootless) {
    const { linux } = config;
    linux!.namespaces = [...linux!.namespaces!.filter((n) => n.type !== 'network'), { type: 'user' }];
    linux!.uidMappings = [{ containerID: 0, hostID: process.geteuid!(), size: 1 }];
    linux!.gidMappings = [{ containerID: 0, hostID: process.getegid!(), size: 1 }];
    delete linux!.resources;
    for (const mount of config.mounts ?? []) mount.options = mount.options?.filter((o) => !o.startsWith('gid=') && !o.startsWith('uid='));
    config.mounts = config.mounts?.filter((m) => !m.destination.startsWith('/sys/')) ?? [];
    const sys = config.mounts.find((m) => m.destination === '/sys');
    if (sys !== undefined) Object.assign(sys, { type: 'none', source: '/sys', options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'] });
  }
  writeFileSync(file, `${JSON.stringify(config, null, '\t')}\n`, { mode: 0o666 });
  return 0;
};
