import { NaruError } from '#spec/errors.ts';
import { reindentJson } from '../format/json-indent.ts';
import { fs } from '../on-demand.ts';

export interface SecurityOptions { readonly options: string[]; readonly maskedPaths: string[] | null; readonly readonlyPaths: string[] | null }

/** `--security-opt`: seccomp profiles are read here, `systempaths=unconfined` is done here, the rest is the daemon's. */
export function parseSecurityOptions(specs: readonly string[]): SecurityOptions {
  const options: string[] = [];
  let unconfined = false;
  for (const spec of specs) {
    const match = /^([^=]*)=(.*)$/s.exec(spec) ?? (spec === 'no-new-privileges' ? null : /^([^:]*):(.*)$/s.exec(spec));
    const key = match?.[1] ?? spec;
    const value = match?.[2] ?? '';
    if (value === '' && key !== 'no-new-privileges') throw new NaruError('invalid', `Invalid --security-opt: ${JSON.stringify(spec)}`);
    if (spec === 'systempaths=unconfined') unconfined = true;
    else if (key === 'seccomp' && value !== 'builtin' && value !== 'unconfined') options.push(`seccomp=${readProfile(value)}`);
    else options.push(spec);
  }
  return { options, maskedPaths: unconfined ? [] : null, readonlyPaths: unconfined ? [] : null };
}

function readProfile(path: string): string {
  let text: string;
  try {
    text = fs().readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? `open ${path}: no such file or directory` : (cause as Error).message;
    throw new NaruError('invalid', `opening seccomp profile (${path}) failed: ${reason}`, { cause });
  }
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new NaruError('invalid', `compacting json for seccomp profile (${path}) failed: ${(cause as Error).message}`, { cause });
  }
  return reindentJson(text, '');
}
