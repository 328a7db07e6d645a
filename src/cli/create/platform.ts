import { NaruError } from '#spec/errors.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64', i386: '386', i486: '386', i686: '386', armhf: 'arm/v7', armel: 'arm/v6' };

/** `linux/amd64`, `linux/arm64/v8`, `amd64`: the normal form that the API takes. */
export function normalizePlatform(text: string): string {
  const bad = (): NaruError => new NaruError('invalid', `${JSON.stringify(text)}: unknown operating system or architecture: invalid argument`);
  const parts = text.split('/').map((part) => part.toLowerCase());
  if (parts.length > 3) throw new NaruError('invalid', `${JSON.stringify(text)}: cannot parse platform specifier: invalid argument`);
  if (parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) throw new NaruError('invalid', `${JSON.stringify(text)} is an invalid component of ${JSON.stringify(text)}: platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument`);
  const [first = '', second, third] = parts;
  if (second === undefined) {
    if (['linux', 'windows', 'darwin', 'freebsd'].includes(first)) return first;
    const architecture = ARCHITECTURES[first] ?? first;
    if (!/^(amd64|arm64|386|arm(\/v\d)?|ppc64le|s390x|riscv64|mips64le|mips64|loong64)$/.test(architecture)) throw bad();
    return `linux/${architecture}`;
  }
  const architecture = ARCHITECTURES[second] ?? second;
  let variant = third;
  if (architecture === 'arm' && variant === undefined) variant = 'v7';
  if (variant !== undefined && /^\d$/.test(variant)) variant = `v${variant}`;
  return [first, architecture, variant].filter((part) => part !== undefined).join('/');
}
