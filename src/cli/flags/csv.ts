import { NaruError } from '#spec/errors.ts';

/** One record of CSV (RFC 4180, as `--mount` and its like use it): `a=b,"c=d,e"`. */
export function parseCsvRecord(text: string): string[] {
  if (text === '') throw new NaruError('invalid', 'EOF');
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      at++;
      for (;;) {
        const quote = text.indexOf('"', at);
        if (quote < 0) throw new NaruError('invalid', `parse error on line 1, column ${text.length + 1}: extraneous or missing " in quoted-field`);
        field += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        field += '"';
        at++;
      }
      if (at < text.length && text[at] !== ',') throw new NaruError('invalid', `parse error on line 1, column ${at + 1}: extraneous or missing " in quoted-field`);
      fields.push(field);
    } else {
      const comma = text.indexOf(',', at);
      const end = comma < 0 ? text.length : comma;
      const field = text.slice(at, end);
      const quote = field.indexOf('"');
      if (quote >= 0) throw new NaruError('invalid', `parse error on line 1, column ${at + quote + 1}: bare " in non-quoted-field`);
      fields.push(field);
      at = end;
    }
    if (at >= text.length) return fields;
    at++; // the comma
    if (at === text.length) {
      fields.push('');
      return fields;
    }
  }
}

/** The part before the first `separator`, the part after it (undefined without one). */
export function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
