import { NaruError } from '#spec/errors.ts';
import { goPrint, goType, isMap, isTrue, NO_VALUE } from './go-values.ts';
import { TEMPLATE_FUNCTIONS, type TemplateFunction } from './template-functions.ts';
import { parseTemplate, type Node, type Operand, type Pipeline } from './template-parser.ts';

export interface TemplateOptions {
  readonly functions?: Readonly<Record<string, TemplateFunction>>;
  /** What a key that an object lacks gives. Throws, or returns a value. */
  readonly missing?: (receiver: object, name: string) => unknown;
  /** The data is JSON without types: Go calls everything in it `interface {}`. */
  readonly untyped?: boolean;
}

/** A parsed Go template. */
export interface Template {
  /** Throws NaruError invalid, worded as Go would. */
  execute(data: unknown, options?: TemplateOptions): string;
}

/** Parses `source` (text/template: actions, if, with, range, variables, pipelines, trim markers, comments). */
export function template(source: string, extra: Readonly<Record<string, TemplateFunction>> = {}): Template {
  const known = { ...TEMPLATE_FUNCTIONS, ...extra };
  const nodes = parseTemplate(source, new Set(Object.keys(known)));
  return {
    execute(data, options = {}) {
      const run = new Execution(source, { ...known, ...options.functions }, options.missing ?? missingField, options.untyped === true);
      return run.all(nodes, data);
    },
  };
}

/** The error of a struct without that field. */
export function missingField(receiver: object, name: string): never {
  const type = (receiver as { goType?: string }).goType ?? goType(receiver);
  throw new Error(`can't evaluate field ${name} in type ${type}`);
}

class Break extends Error {}
class Continue extends Error {}
type Scope = Map<string, unknown>;

class Execution {
  readonly #source: string;
  readonly #functions: Readonly<Record<string, TemplateFunction>>;
  readonly #missing: (receiver: object, name: string) => unknown;
  readonly #untyped: boolean;
  #out = '';
  #scopes: Scope[] = [];

  constructor(source: string, functions: Readonly<Record<string, TemplateFunction>>, missing: (receiver: object, name: string) => unknown, untyped: boolean) {
    this.#untyped = untyped;
    this.#source = source;
    this.#functions = functions;
    this.#missing = missing;
  }

  all(nodes: readonly Node[], data: unknown): string {
    this.#scopes = [new Map([['$', data]])];
    this.#list(nodes, data);
    return this.#out;
  }

  #list(nodes: readonly Node[], dot: unknown): void {
    for (const node of nodes) {
      switch (node.kind) {
        case 'text':
          this.#out += node.text;
          break;
        case 'action': {
          const value = this.#pipeline(node.pipeline, dot);
          if (node.pipeline.declares.length === 0) this.#out += goPrint(value);
          break;
        }
        case 'break':
          throw new Break();
        case 'continue':
          throw new Continue();
        case 'range':
          this.#scoped(() => this.#range(node, dot));
          break;
        default:
          this.#scoped(() => {
            const value = this.#pipeline(node.pipeline, dot);
            if (isTrue(value)) this.#list(node.body, node.kind === 'with' ? value : dot);
            else this.#list(node.otherwise, dot);
          });
      }
    }
  }

  #range(node: Extract<Node, { body: unknown }>, dot: unknown): void {
    const { declares } = node.pipeline;
    const value = this.#pipeline({ ...node.pipeline, declares: [] }, dot);
    const entries: [unknown, unknown][] = Array.isArray(value) ? (value as unknown[]).map((item, i) => [i, item])
      : isMap(value) ? Object.keys(value as object).sort().map((key) => [key, (value as Record<string, unknown>)[key]])
        : typeof value === 'number' ? Array.from({ length: value }, (_, i) => [i, i])
          : value === null || value === NO_VALUE ? []
            : this.#raise(node.pipeline.commands[0]?.[0] as Operand, `range can't iterate over ${goPrint(value)}`);
    if (entries.length === 0) return this.#list(node.otherwise, dot);
    for (const [key, item] of entries) {
      try {
        this.#scoped(() => {
          const scope = this.#scopes.at(-1) as Scope;
          const [first, second] = declares;
          if (first !== undefined) scope.set(first, second === undefined ? item : key);
          if (second !== undefined) scope.set(second, item);
          this.#list(node.body, item);
        });
      } catch (error) {
        if (error instanceof Break) break;
        if (!(error instanceof Continue)) throw error;
      }
    }
  }

  #scoped(work: () => void): void {
    const depth = this.#scopes.length;
    this.#scopes.push(new Map());
    try {
      work();
    } finally {
      this.#scopes.length = depth;
    }
  }

  #pipeline(pipeline: Pipeline, dot: unknown): unknown {
    let value: unknown;
    pipeline.commands.forEach((command, i) => {
      value = this.#command(command, dot, i === 0 ? [] : [value]);
    });
    const name = pipeline.declares[0];
    if (name !== undefined) {
      const holder = pipeline.assigns ? this.#scopes.findLast((scope) => scope.has(name)) : this.#scopes.at(-1);
      holder?.set(name, value);
    }
    return value;
  }

  #command(command: readonly Operand[], dot: unknown, last: readonly unknown[]): unknown {
    const first = command[0] as Operand;
    const rest = command.slice(1);
    if (first.kind === 'function') {
      if (first.name === 'and' || first.name === 'or') {
        let value: unknown;
        for (const operand of rest) {
          value = this.#operand(operand, dot, []);
          if (isTrue(value) === (first.name === 'or')) return value;
        }
        return last.length > 0 ? last[0] : value;
      }
      const args = [...rest.map((operand) => this.#operand(operand, dot, [])), ...last];
      return this.#guard({ ...first, source: command.map((operand) => operand.source).join(' ') }, () => (this.#functions[first.name] as TemplateFunction)(args));
    }
    if (first.kind === 'nil') return this.#raise(first, 'nil is not a command');
    if (rest.length > 0 || last.length > 0) {
      if (first.kind === 'field' || first.kind === 'variable' || first.kind === 'pipeline') return this.#operand(first, dot, [...rest.map((operand) => this.#operand(operand, dot, [])), ...last]);
      return this.#raise(first, `can't give argument to non-function ${first.source}`);
    }
    return this.#operand(first, dot, []);
  }

  #operand(operand: Operand, dot: unknown, args: readonly unknown[]): unknown {
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'literal':
        return operand.value;
      case 'field':
        return this.#chain(operand, dot, operand.names, args);
      case 'variable':
        return this.#chain(operand, this.#scopes.findLast((scope) => scope.has(operand.name))?.get(operand.name), operand.names, args);
      case 'pipeline':
        return this.#chain(operand, this.#pipeline(operand.pipeline, dot), operand.names, args);
      case 'function':
        return this.#guard(operand, () => (this.#functions[operand.name] as TemplateFunction)([]));
    }
  }

  #chain(operand: Operand, start: unknown, names: readonly string[], args: readonly unknown[]): unknown {
    let value = start;
    names.forEach((name, i) => {
      value = this.#field(operand, value, name, i === names.length - 1 ? args : []);
    });
    if (names.length === 0 && args.length > 0) this.#raise(operand, `can't give argument to non-function ${operand.source}`);
    return value;
  }

  #field(operand: Operand, receiver: unknown, name: string, args: readonly unknown[]): unknown {
    if (receiver === null || receiver === undefined) return this.#raise(operand, `nil pointer evaluating interface {}.${name}`);
    if (receiver === NO_VALUE) return this.#raise(operand, `nil data; no entry for key ${JSON.stringify(name)}`);
    if (typeof receiver !== 'object' || Array.isArray(receiver)) return this.#raise(operand, `can't evaluate field ${name} in type ${this.#untyped ? 'interface {}' : goType(receiver)}`);
    const value = name in receiver && name !== 'goType' ? (receiver as Record<string, unknown>)[name] : undefined;
    if (typeof value === 'function') return this.#guard(operand, () => (value as (...words: readonly unknown[]) => unknown).apply(receiver, [...args]));
    if (args.length > 0) return this.#raise(operand, `${name} has arguments but cannot be invoked as function`);
    if (value === undefined) return isMap(receiver) ? NO_VALUE : this.#guard(operand, () => this.#missing(receiver, name));
    return value;
  }

  #guard<T>(operand: Operand, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof NaruError) throw error;
      return this.#raise(operand, (error as Error).message);
    }
  }

  #raise(operand: Operand, message: string): never {
    const before = this.#source.slice(0, operand.at);
    const line = before.split('\n').length;
    const column = operand.at - (before.lastIndexOf('\n') + 1);
    throw new NaruError('invalid', `template: :${line}:${column}: executing "" at <${operand.source}>: ${message}`);
  }
}
