/** gen-ops.ts FILE: writes the helper's ops.h from the table of operations. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  OPS, PLAN_MAGIC, PLAN_MAX_BYTES, PLAN_TRACE, PLAN_VERSION, SECTIONS, SLOTS, SLOT_CHILD_PIDFD, SLOT_TARGET_PIDFD,
  type ArgKind, type OpDefinition,
} from '#runtime/plan/ops.ts';

/** One letter per argument, as plan.c reads them. */
const LETTERS: Readonly<Record<ArgKind, string>> = {
  int: 'i', slot: 'd', str: 's', inroot: 's', list: 'l', bytes: 'b', ints: 'u',
};

export function opsHeader(): string {
  const ops = Object.entries<OpDefinition>(OPS);
  const seen = new Map<number, string>();
  for (const [name, { code }] of ops) {
    if (seen.has(code)) throw new Error(`operations ${seen.get(code)} and ${name} share code ${code}`);
    seen.set(code, name);
  }
  const rows = ops.map(([name, { code, args }]) => `  X(${name}, ${code}, "${args.map(([, kind]) => LETTERS[kind]).join('')}")`);
  return [
    '/* Written by scripts/gen-ops.ts. */',
    '#ifndef NARU_OPS_H',
    '#define NARU_OPS_H',
    `#define PLAN_MAGIC ${PLAN_MAGIC}u`,
    `#define PLAN_VERSION ${PLAN_VERSION}`,
    `#define PLAN_TRACE ${PLAN_TRACE}`,
    `#define PLAN_MAX_BYTES ${PLAN_MAX_BYTES}u`,
    `#define SLOTS ${SLOTS}`,
    `#define SLOT_TARGET_PIDFD ${SLOT_TARGET_PIDFD}`,
    `#define SLOT_CHILD_PIDFD ${SLOT_CHILD_PIDFD}`,
    `#define OP_CODES ${Math.max(...seen.keys()) + 1}`,
    `enum section { ${SECTIONS.map((s) => `SECTION_${s.toUpperCase()}`).join(', ')}, SECTIONS };`,
    `enum { ${ops.map(([name, { code }]) => `OP_${name} = ${code}`).join(', ')} };`,
    `#define OP_LIST(X) \\\n${rows.join(' \\\n')}`,
    '#endif',
    '',
  ].join('\n');
}

const out = process.argv[2];
if (import.meta.main && out !== undefined) {
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, opsHeader());
}
