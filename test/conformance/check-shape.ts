import type { ApiShapes, Shape } from './derive-shapes.ts';

/** What is wrong with a JSON value as a `shape`: `path: complaint`. Docker's Go answers null for any list, map or pointer. */
export function checkShape(value: unknown, shape: Shape, { definitions, at = '$', extra = true }: { definitions: ApiShapes['definitions']; at?: string; extra?: boolean }): string[] {
  const inner = (next: unknown, as: Shape, where: string): string[] => checkShape(next, as, { definitions, at: where });
  if (typeof shape === 'string') return scalar(value, shape, at);
  if ('nullable' in shape) return value === null ? [] : checkShape(value, shape.nullable, { definitions, at, extra });
  if ('ref' in shape) return checkShape(value, definitions[shape.ref] ?? 'any', { definitions, at, extra });
  if ('all' in shape && shape.all.length === 1) return checkShape(value, shape.all[0]!, { definitions, at, extra });
  if ('list' in shape) {
    if (value === null) return [];
    return Array.isArray(value) ? value.flatMap((each, i) => inner(each, shape.list, `${at}[${i}]`)) : [`${at}: is no list`];
  }
  if (value === null) return [];
  if (typeof value !== 'object' || Array.isArray(value)) return [`${at}: is no object`];
  if ('map' in shape) return Object.entries(value).flatMap(([key, each]) => inner(each, shape.map, `${at}.${key}`));
  const known = fieldsOf(shape, definitions);
  const problems = [...known.required].filter((name) => !(name in value)).map((name) => `${at}.${name}: is missing`);
  for (const [name, each] of Object.entries(value)) {
    const field = known.fields.get(name);
    if (field !== undefined) problems.push(...inner(each, field, `${at}.${name}`));
    else if (extra && !known.open) problems.push(`${at}.${name}: is not in the API`);
  }
  return problems;
}

function scalar(value: unknown, kind: string, at: string): string[] {
  if (kind === 'any' || kind === 'binary') return [];
  if (kind === 'integer') return Number.isInteger(value) ? [] : [`${at}: ${JSON.stringify(value)} is no integer`];
  return typeof value === kind ? [] : [`${at}: ${JSON.stringify(value)} is no ${kind}`];
}

interface Fields { readonly fields: Map<string, Shape>; readonly required: Set<string>; open: boolean }

function fieldsOf(shape: Shape, definitions: ApiShapes['definitions'], into: Fields = { fields: new Map(), required: new Set(), open: false }): Fields {
  if (typeof shape === 'string') into.open = true;
  else if ('ref' in shape) fieldsOf(definitions[shape.ref] ?? 'any', definitions, into);
  else if ('nullable' in shape) fieldsOf(shape.nullable, definitions, into);
  else if ('all' in shape) for (const each of shape.all) fieldsOf(each, definitions, into);
  else if ('fields' in shape) {
    for (const [name, field] of Object.entries(shape.fields)) into.fields.set(name, field);
    for (const name of shape.required ?? []) into.required.add(name);
  } else into.open = true;
  return into;
}
