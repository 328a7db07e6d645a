import { NaruError } from '#spec/errors.ts';
import { alignTabs } from './tab-writer.ts';
import { goJson } from './go-strings.ts';
import { markAsMap } from './go-values.ts';
import { HEADER_FUNCTIONS } from './template-functions.ts';
import { template, type Template } from './template.ts';

/** A row's columns by name: text, or a function for columns with an argument (`.Label "x"`). */
export type Row = Record<string, unknown>;

export interface TableOptions {
  /** `table`, `table TEMPLATE`, `json`, or a template. */
  readonly format: string;
  /** Column name to heading. */
  readonly headers: Readonly<Record<string, string>>;
  /** The columns that `json` prints, when not all with a heading. */
  readonly goType: string;
}

/** Renders rows as Docker's formatter does. */
export function renderTable(rows: readonly Row[], options: TableOptions): string {
  const isTable = options.format.startsWith('table');
  const source = (isTable ? options.format.slice('table'.length) : options.format === 'json' ? '{{json .}}' : options.format).replace(/^ +| +$/g, '').replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  const parsed = parseFormat(source);
  let body = '';
  for (const row of rows) body += `${executeRow(parsed, row, options.goType)}\n`;
  if (!isTable) return body;
  return alignTabs(`${headerLine(parsed, options.headers)}\n${body}`, { minimum: 10, padding: 3 });
}

/** Parses a `--format`; the error says so. */
export function parseFormat(source: string): Template {
  try {
    return template(source);
  } catch (error) {
    throw new NaruError('invalid', `template parsing error: ${(error as Error).message}`, { cause: error });
  }
}

/** One row through a template. */
export function executeRow(parsed: Template, row: Row, goType: string): string {
  Object.defineProperty(row, 'goType', { value: goType, enumerable: false, configurable: true });
  try {
    return parsed.execute(row, { functions: { json: ([value]) => (value === row ? rowJson(row) : goJson(value)) } });
  } catch (error) {
    throw new NaruError('invalid', `template parsing error: ${(error as Error).message}`, { cause: error });
  }
}

function headerLine(parsed: Template, headers: Readonly<Record<string, string>>): string {
  const names: Row = markAsMap({ ...headers, Label: (name: string) => (name.split('.').at(-1) ?? '').replace(/[-_]/g, ' ') });
  try {
    return parsed.execute(names, { functions: HEADER_FUNCTIONS, missing: () => '<no value>' });
  } catch {
    return '';
  }
}

function rowJson(row: Row): string {
  // Here Go's encoder escapes what could be read as HTML.
  return goJson(Object.fromEntries(Object.keys(row).filter((key) => typeof row[key] !== 'function').sort().map((key) => [key, row[key]]))).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}

/** `0123456789ab` of `sha256:0123456789abcdef…`. */
export function shortId(id: string): string {
  const colon = id.indexOf(':');
  return id.slice(colon + 1, colon + 13);
}
