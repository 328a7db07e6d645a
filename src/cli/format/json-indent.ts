/** Re-indents JSON text without touching its values (numbers keep all their digits), as Go's json.Indent does; '' compacts. */
export function reindentJson(text: string, indent: string): string {
  let out = '';
  let depth = 0;
  let at = 0;
  const newline = (): string => (indent === '' ? '' : `\n${indent.repeat(depth)}`);
  while (at < text.length) {
    const c = text[at] as string;
    switch (c) {
      case '"': {
        let end = at + 1;
        while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
        out += text.slice(at, end + 1);
        at = end + 1;
        continue;
      }
      case '{':
      case '[': {
        let next = at + 1;
        while (/\s/.test(text[next] ?? '')) next++;
        if (text[next] === (c === '{' ? '}' : ']')) {
          out += c + text[next];
          at = next + 1;
          continue;
        }
        depth++;
        out += c + newline();
        break;
      }
      case '}':
      case ']':
        depth--;
        out += newline() + c;
        break;
      case ',':
        out += c + newline();
        break;
      case ':':
        out += indent === '' ? ':' : ': ';
        break;
      case ' ':
      case '\t':
      case '\r':
      case '\n':
        break;
      default:
        out += c;
    }
    at++;
  }
  return out;
}
