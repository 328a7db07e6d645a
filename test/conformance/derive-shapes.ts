import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';

/**
 * Names and types of Docker's Engine API out of its OpenAPI text, without a word of its prose:
 *   bun test/conformance/derive-shapes.ts engine-api-v1.51.yaml test/conformance/api-shapes.json
 */
export type Shape =
  | 'string' | 'integer' | 'number' | 'boolean' | 'any' | 'binary'
  | { ref: string } | { list: Shape } | { map: Shape } | { nullable: Shape } | { all: Shape[] }
  | { fields: Record<string, Shape>; required?: string[] };
export interface ApiShapes {
  definitions: Record<string, Shape>;
  /** `GET /containers/json` to the body of its success; null when it has none. */
  responses: Record<string, Shape | null>;
}

interface Schema {
  $ref?: string; type?: string; format?: string; properties?: Record<string, Schema>; additionalProperties?: Schema | boolean; items?: Schema;
  allOf?: Schema[]; required?: string[]; 'x-nullable'?: boolean;
}

function shapeOf(schema: Schema): Shape {
  const plain = bareShape(schema);
  return schema['x-nullable'] === true ? { nullable: plain } : plain;
}

function bareShape(schema: Schema): Shape {
  if (schema.$ref !== undefined) return { ref: schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1) };
  if (schema.allOf !== undefined) {
    const own = schema.properties === undefined ? [] : [bareShape({ ...schema, allOf: undefined } as unknown as Schema)];
    return { all: [...schema.allOf.map(shapeOf), ...own] };
  }
  if (schema.type === 'array') return { list: shapeOf(schema.items ?? {}) };
  if (schema.properties !== undefined) {
    const fields = Object.fromEntries(Object.entries(schema.properties).map(([name, each]) => [name, shapeOf(each)]));
    return schema.required === undefined ? { fields } : { fields, required: schema.required };
  }
  if (typeof schema.additionalProperties === 'object') return { map: shapeOf(schema.additionalProperties) };
  if (schema.type === 'string') return schema.format === 'binary' ? 'binary' : 'string';
  if (schema.type === 'integer' || schema.type === 'number' || schema.type === 'boolean') return schema.type;
  return 'any';
}

export function deriveShapes(yaml: string): ApiShapes {
  const api = parse(yaml) as { definitions: Record<string, Schema>; paths: Record<string, Record<string, { responses?: Record<string, { schema?: Schema }> }>> };
  const responses: ApiShapes['responses'] = {};
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.responses === undefined) continue;
      const success = Object.entries(operation.responses).find(([status]) => /^(2|1)/.test(status));
      responses[`${method.toUpperCase()} ${path}`] = success?.[1].schema === undefined ? null : shapeOf(success[1].schema);
    }
  }
  return { definitions: Object.fromEntries(Object.entries(api.definitions).map(([name, schema]) => [name, shapeOf(schema)])), responses };
}

if (import.meta.main) {
  const [from, to] = process.argv.slice(2) as [string, string];
  const { definitions, responses } = deriveShapes(readFileSync(from, 'utf8'));
  const lines = (entries: object): string => Object.entries(entries).map(([name, shape]) => `    ${JSON.stringify(name)}: ${JSON.stringify(shape)}`).join(',\n');
  writeFileSync(to, `{\n  "definitions": {\n${lines(definitions)}\n  },\n  "responses": {\n${lines(responses)}\n  }\n}\n`);
}
