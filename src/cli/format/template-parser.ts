import { goUnquote } from './go-strings.ts';
import { lexTemplate, templateError, type Token } from './template-lexer.ts';

export type Operand =
  | { readonly kind: 'dot' | 'nil'; readonly at: number; readonly source: string }
  | { readonly kind: 'literal'; readonly value: string | number | boolean; readonly at: number; readonly source: string }
  | { readonly kind: 'field'; readonly names: readonly string[]; readonly at: number; readonly source: string }
  | { readonly kind: 'variable'; readonly name: string; readonly names: readonly string[]; readonly at: number; readonly source: string }
  | { readonly kind: 'function'; readonly name: string; readonly at: number; readonly source: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly names: readonly string[]; readonly at: number; readonly source: string };

export interface Pipeline { readonly declares: readonly string[]; readonly assigns: boolean; readonly commands: readonly (readonly Operand[])[]; readonly at: number }

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | { readonly kind: 'if' | 'with' | 'range'; readonly pipeline: Pipeline; readonly body: readonly Node[]; readonly otherwise: readonly Node[] }
  | { readonly kind: 'break' | 'continue' };

const MAX_DEPTH = 200;

/** Parses a Go template; `functions` are the names that may be called. Throws NaruError invalid with Go's message. */
export function parseTemplate(source: string, functions: ReadonlySet<string>): readonly Node[] {
  const parser = new Parser(source, functions);
  return parser.all();
}

class Parser {
  readonly #tokens: Token[];
  readonly #source: string;
  readonly #functions: ReadonlySet<string>;
  #at = 0;
  #depth = 0;
  #ranges = 0;
  #scopes: Set<string>[] = [new Set(['$'])];

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#functions = functions;
    this.#tokens = lexTemplate(source);
  }

  all(): readonly Node[] {
    const [nodes, stop] = this.#list();
    if (stop !== 'end') throw this.#fail(`unexpected ${stop === 'else' ? '{{else}}' : stop}`);
    return nodes;
  }

  /** Nodes up to `{{end}}`, `{{else}}` or the end of the template; says which. */
  #list(): [Node[], 'end' | 'else' | '{{end}}'] {
    if (++this.#depth > MAX_DEPTH) throw this.#fail('max expression depth exceeded');
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#next();
      if (token.kind === 'end') {
        this.#depth--;
        return [nodes, 'end'];
      }
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text });
        continue;
      }
      this.#skipSpace();
      const word = this.#peek();
      if (word.kind === 'word' && (word.text === 'end' || word.text === 'else')) {
        this.#next();
        this.#skipSpace();
        if (word.text === 'end') this.#expect('close', 'end');
        this.#depth--;
        return [nodes, word.text === 'end' ? '{{end}}' : 'else'];
      }
      nodes.push(this.#action());
    }
  }

  #action(): Node {
    const word = this.#peek();
    if (word.kind === 'word') {
      if (word.text === 'if' || word.text === 'with' || word.text === 'range') {
        this.#next();
        return this.#control(word.text);
      }
      if (word.text === 'break' || word.text === 'continue') {
        this.#next();
        this.#skipSpace();
        this.#expect('close', word.text);
        if (this.#ranges === 0) throw this.#fail(`{{${word.text}}} outside {{range}}`);
        return { kind: word.text };
      }
      if (word.text === 'define' || word.text === 'template' || word.text === 'block') throw this.#fail(`{{${word.text}}} is not supported in --format`);
    }
    const pipeline = this.#pipeline('command');
    this.#expect('close', 'command');
    return { kind: 'action', pipeline };
  }

  #control(kind: 'if' | 'with' | 'range'): Node {
    this.#scopes.push(new Set());
    const pipeline = this.#pipeline(kind);
    this.#expect('close', kind);
    if (kind === 'range') this.#ranges++;
    const [body, stop] = this.#list();
    if (kind === 'range') this.#ranges--;
    let otherwise: Node[] = [];
    if (stop === 'end') throw this.#fail('unexpected EOF');
    if (stop === 'else') {
      this.#skipSpace();
      const word = this.#peek();
      if (word.kind === 'word' && (word.text === 'if' || word.text === 'with') && kind !== 'range') {
        this.#next();
        otherwise = [this.#control(word.text)]; // its {{end}} ends this one too
      } else {
        this.#expect('close', 'else');
        const [nodes, last] = this.#list();
        if (last !== '{{end}}') throw this.#fail(last === 'end' ? 'unexpected EOF' : 'expected end; found {{else}}');
        otherwise = nodes;
      }
    }
    this.#scopes.pop();
    return { kind, pipeline, body, otherwise };
  }

  #pipeline(context: string): Pipeline {
    this.#skipSpace();
    const at = this.#peek().at;
    const declares: string[] = [];
    let assigns = false;
    const mark = this.#at;
    if (this.#peek().kind === 'variable') {
      const names = [this.#next().text];
      this.#skipSpace();
      if (this.#peek().kind === 'comma' && context === 'range') {
        this.#next();
        this.#skipSpace();
        if (this.#peek().kind === 'variable') names.push(this.#next().text);
        this.#skipSpace();
      }
      const operator = this.#peek();
      if (operator.kind === 'declare' || operator.kind === 'assign') {
        this.#next();
        assigns = operator.kind === 'assign';
        declares.push(...names);
        if (!assigns) for (const name of names) this.#scopes.at(-1)?.add(name);
      } else this.#at = mark;
    }
    const commands: (readonly Operand[])[] = [];
    for (;;) {
      this.#skipSpace();
      const token = this.#peek();
      if (token.kind === 'close' || token.kind === 'unparen' || token.kind === 'end') break;
      commands.push(this.#command(context));
      this.#skipSpace();
      if (this.#peek().kind !== 'pipe') break;
      this.#next();
      this.#skipSpace();
      if (['close', 'unparen', 'end'].includes(this.#peek().kind)) throw this.#fail(`missing value for ${context}`);
    }
    if (commands.length === 0) throw this.#fail(`missing value for ${context}`);
    for (const command of commands.slice(1)) {
      const first = (command[0] as Operand).kind;
      if (first === 'literal' || first === 'nil' || first === 'dot') throw this.#fail(`non executable command in pipeline stage ${commands.indexOf(command) + 1}`);
    }
    return { declares, assigns, commands, at };
  }

  #command(context: string): readonly Operand[] {
    const operands: Operand[] = [];
    for (;;) {
      operands.push(this.#operand(context));
      const token = this.#peek();
      if (token.kind !== 'space') break;
      this.#skipSpace();
      if (['close', 'unparen', 'pipe', 'end'].includes(this.#peek().kind)) break;
    }
    const after = this.#peek();
    if (!['close', 'unparen', 'pipe', 'end', 'space'].includes(after.kind)) throw this.#fail(`unexpected ${describe(after)} in operand`);
    return operands;
  }

  #operand(context: string): Operand {
    const token = this.#next();
    const at = token.at;
    switch (token.kind) {
      case 'dot':
        return { kind: 'dot', at, source: '.' };
      case 'string':
        return { kind: 'literal', value: this.#unquote(token), at, source: token.text };
      case 'char':
        return { kind: 'literal', value: (this.#unquote({ ...token, text: `"${token.text.slice(1, -1).replace("\\'", "'").replace(/^"$/, '\\"')}"` })).codePointAt(0) ?? 0, at, source: token.text };
      case 'number': {
        const value = Number(token.text.replaceAll('_', ''));
        if (Number.isNaN(value)) throw this.#fail(`bad number syntax: ${JSON.stringify(token.text)}`);
        return { kind: 'literal', value, at, source: token.text };
      }
      case 'field': {
        const [names, last] = this.#fields([token.text.slice(1)], at);
        return { kind: 'field', names, at: last, source: names.map((name) => `.${name}`).join('') };
      }
      case 'variable': {
        if (!this.#scopes.some((scope) => scope.has(token.text))) throw this.#fail(`undefined variable ${JSON.stringify(token.text)}`);
        const [names] = this.#fields([], at);
        return { kind: 'variable', name: token.text, names, at, source: [token.text, ...names].join('.') };
      }
      case 'paren': {
        if (++this.#depth > MAX_DEPTH) throw this.#fail('max expression depth exceeded');
        const pipeline = this.#pipeline('parenthesized pipeline');
        const close = this.#next();
        if (close.kind !== 'unparen') throw this.#fail(`unclosed left paren`);
        this.#depth--;
        const [names] = this.#fields([], at);
        return { kind: 'pipeline', pipeline, names, at, source: this.#source.slice(at, close.at + 1) };
      }
      case 'word':
        if (token.text === 'true' || token.text === 'false') return { kind: 'literal', value: token.text === 'true', at, source: token.text };
        if (token.text === 'nil') return { kind: 'nil', at, source: 'nil' };
        if (!this.#functions.has(token.text)) throw this.#fail(`function ${JSON.stringify(token.text)} not defined`);
        return { kind: 'function', name: token.text, at, source: token.text };
      case 'end':
        throw this.#fail('unexpected EOF');
      default:
        throw this.#fail(`unexpected ${describe(token)} in ${context}`);
    }
  }

  #fields(start: string[], at: number): [string[], number] {
    let last = at;
    while (this.#peek().kind === 'field') {
      const token = this.#next();
      if (start.length === 1) last = token.at;
      start.push(token.text.slice(1));
    }
    return [start, last];
  }

  #unquote(token: Token): string {
    const text = goUnquote(token.text);
    if (text === undefined) throw this.#fail('invalid syntax');
    return text;
  }

  #expect(kind: Token['kind'], context: string): void {
    this.#skipSpace();
    const token = this.#next();
    if (token.kind !== kind) throw this.#fail(`unexpected ${describe(token)} in ${context}`);
  }

  #peek(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #next(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  #skipSpace(): void {
    while (this.#peek().kind === 'space') this.#at++;
  }

  #fail(message: string): Error {
    return templateError(this.#source, this.#tokens[Math.max(0, this.#at - 1)]?.at ?? 0, message);
  }
}

const describe = (token: Token): string => (token.kind === 'end' ? 'EOF' : `<${token.text}>`);
