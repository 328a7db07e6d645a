declare const brand: unique symbol;
/** Text that is safe as HTML. */
export type Html = string & { readonly [brand]: 'Html' };

/** Text as HTML shows it, in elements and in quoted attributes. */
export const escapeHtml = (text: string): Html =>
  text.replace(/[&<>"'`]/g, (c) => `&#${c.charCodeAt(0)};`) as Html;

/** A template whose values are escaped, unless they are HTML already; lists are joined. */
export function html(parts: TemplateStringsArray, ...values: (string | number | Html | Html[] | { safe: Html })[]): { safe: Html } {
  const rendered = values.map((value) => (typeof value === 'object' ? ('safe' in value ? value.safe : value.join('')) : escapeHtml(String(value))));
  return { safe: parts.map((part, i) => part + (rendered[i] ?? '')).join('') as Html };
}
