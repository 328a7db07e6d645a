import { displayWidth } from './display-width.ts';

/**
 * Aligns text whose cells end with tabs, as Go's tabwriter does: a column is a run of lines that have a tab-ended cell there;
 * its width is that of its widest cell plus `padding`, at least `minimum`.
 */
export function alignTabs(text: string, options: { minimum: number; padding: number }): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const widths: number[] = [];
  let out = '';

  const emit = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const cells = lines[i] as string[];
      for (let j = 0; j < cells.length; j++) {
        const cell = cells[j] as string;
        out += cell;
        if (j < cells.length - 1) out += ' '.repeat(Math.max(0, (widths[j] ?? 0) - displayWidth(cell)));
      }
      if (i < lines.length - 1) out += '\n';
    }
  };

  const format = (from: number, to: number): void => {
    const column = widths.length;
    let done = from;
    for (let at = from; at < to; at++) {
      if (column >= (lines[at] as string[]).length - 1) continue;
      // A block of lines with a cell in this column: what came before it is narrower and printed first.
      emit(done, at);
      let end = at;
      let width = options.minimum;
      while (end < to && column < (lines[end] as string[]).length - 1) {
        width = Math.max(width, displayWidth((lines[end] as string[])[column] as string) + options.padding);
        end++;
      }
      widths.push(width);
      format(at, end);
      widths.pop();
      done = end;
      at = end - 1;
    }
    emit(done, to);
  };

  format(0, lines.length);
  return out;
}
