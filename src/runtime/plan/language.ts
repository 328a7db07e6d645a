import { OPS, PLAN_VERSION } from './ops.ts';

const FNV_OFFSET = 0x811c9dc5, FNV_PRIME = 0x01000193;

let name: string | undefined;

/**
 * A name for what plans can say: equal in two builds whose helpers know the same operations with the same arguments (FNV-1a of the
 * table, eight hexadecimal digits). Whoever changes what an operation does without changing its row changes PLAN_VERSION.
 */
export const planLanguage = (): string => (name ??= hash(JSON.stringify([PLAN_VERSION, OPS])).toString(16).padStart(8, '0'));

function hash(text: string): number {
  let sum = FNV_OFFSET;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), FNV_PRIME);
  return sum >>> 0;
}

/** The socket of a shim that understands this build's plans, in its task's state directory. */
export const shimSocketName = (): string => `shim-${planLanguage()}.sock`;
