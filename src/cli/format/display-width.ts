const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;

/** How many columns of a terminal the text takes: East Asian wide characters take two. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const c of text) width += WIDE.test(c) ? 2 : 1;
  return width;
}

/** Cuts to `limit` columns; what was cut ends in an ellipsis. */
export function ellipsis(text: string, limit: number): string {
  if (limit <= 0) return '';
  const characters = [...text];
  if (limit === 1) return characters[0] ?? '';
  if (displayWidth(text) <= limit) return text;
  let width = 0;
  let out = '';
  for (const c of characters) {
    width += displayWidth(c);
    if (width > limit - 1) break;
    out += c;
  }
  return `${out}…`;
}
