import { NaruError } from '#spec/errors.ts';

export type TokenKind = 'text' | 'open' | 'close' | 'field' | 'variable' | 'word' | 'string' | 'char' | 'number' | 'dot' | 'pipe' | 'paren' | 'unparen' | 'declare' | 'assign' | 'comma' | 'space' | 'end';
export interface Token { readonly kind: TokenKind; readonly text: string; readonly at: number }

const SPACE = /[ \t\r\n]/;
const ASCII_NAME = /[A-Za-z0-9_]/;
const UNICODE_NAME = /[\p{L}\p{N}]/u;
const isName = (c: string): boolean => (c < '\x80' ? ASCII_NAME.test(c) : UNICODE_NAME.test(c));

/** A syntax error as Go words it: `template: :1: unexpected …`. */
export function templateError(source: string, at: number, message: string): NaruError {
  const line = source.slice(0, at).split('\n').length;
  return new NaruError('invalid', `template: :${line}: ${message}`);
}

/** Splits a Go template (text/template) into tokens; trim markers and comments are done with here. */
export function lexTemplate(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    let open = source.indexOf('{{', at);
    if (open < 0) open = source.length;
    let text = source.slice(at, open);
    const trimsLeft = source.startsWith('{{- ', open) || /^\{\{-[\t\r\n]/.test(source.slice(open, open + 4));
    if (trimNext) text = text.replace(/^[ \t\r\n]+/, '');
    if (trimsLeft) text = text.replace(/[ \t\r\n]+$/, '');
    trimNext = false;
    if (text !== '') tokens.push({ kind: 'text', text, at });
    if (open === source.length) break;
    at = open + 2 + (trimsLeft ? 1 : 0);
    const comment = /^[ \t\r\n]*\/\*/.exec(source.slice(at));
    if (comment !== null) {
      const end = source.indexOf('*/', at + comment[0].length);
      if (end < 0) throw templateError(source, open, 'unclosed comment');
      const close = /^(?:[ \t\r\n]-)?\}\}/.exec(source.slice(end + 2));
      if (close === null) throw templateError(source, open, 'comment ends before closing delimiter');
      trimNext = close[0].length > 2;
      at = end + 2 + close[0].length;
      continue;
    }
    tokens.push({ kind: 'open', text: '{{', at: open });
    [at, trimNext] = lexAction(source, at, tokens);
  }
  tokens.push({ kind: 'end', text: '', at: source.length });
  return tokens;
}

function lexAction(source: string, from: number, tokens: Token[]): [number, boolean] {
  let at = from;
  const push = (kind: TokenKind, length: number): void => {
    tokens.push({ kind, text: source.slice(at, at + length), at });
    at += length;
  };
  for (;;) {
    if (at >= source.length) throw templateError(source, from, 'unclosed action');
    const trims = /^[ \t\r\n]+-\}\}/.exec(source.slice(at, at + 64));
    if (trims !== null) {
      tokens.push({ kind: 'close', text: '}}', at });
      return [at + trims[0].length, true];
    }
    if (source.startsWith('}}', at)) {
      tokens.push({ kind: 'close', text: '}}', at });
      return [at + 2, false];
    }
    const c = source[at] as string;
    if (SPACE.test(c)) {
      let end = at;
      while (end < source.length && SPACE.test(source[end] as string) && !/^[ \t\r\n]+-\}\}/.test(source.slice(end, end + 8))) end++;
      if (end === at) continue;
      push('space', end - at);
    } else if (c === '|') push('pipe', 1);
    else if (c === '(') push('paren', 1);
    else if (c === ')') push('unparen', 1);
    else if (c === ',') push('comma', 1);
    else if (source.startsWith(':=', at)) push('declare', 2);
    else if (c === '=') push('assign', 1);
    else if (c === '"') push('string', quoted(source, at));
    else if (c === "'") push('char', quoted(source, at));
    else if (c === '`') {
      const end = source.indexOf('`', at + 1);
      if (end < 0) throw templateError(source, at, 'unterminated raw quoted string');
      push('string', end + 1 - at);
    } else if (c === '$') push('variable', 1 + nameLength(source, at + 1));
    else if (/[0-9]/.test(c) || (/[+-]/.test(c) && /[0-9.]/.test(source[at + 1] ?? '')) || (c === '.' && /[0-9]/.test(source[at + 1] ?? ''))) {
      push('number', (/^[+-]?(0[xXbBoO])?[0-9a-fA-F_.]+([eE][+-]?[0-9]+)?/.exec(source.slice(at)) as RegExpExecArray)[0].length);
    } else if (c === '.') {
      const length = nameLength(source, at + 1);
      push(length === 0 ? 'dot' : 'field', 1 + length);
    } else if (isName(c)) push('word', nameLength(source, at));
    else throw templateError(source, at, `unexpected ${JSON.stringify(c)} in operand`);
  }
}

function nameLength(source: string, at: number): number {
  let end = at;
  while (end < source.length && isName(source[end] as string)) end++;
  return end - at;
}

function quoted(source: string, at: number): number {
  const quote = source[at];
  for (let end = at + 1; end < source.length && source[end] !== '\n'; end++) {
    if (source[end] === '\\') end++;
    else if (source[end] === quote) return end + 1 - at;
  }
  throw templateError(source, at, quote === '"' ? 'unterminated quoted string' : 'unterminated character constant');
}
