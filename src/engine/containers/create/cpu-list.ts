/** `0-3,5` to a set of numbers; undefined when it is not such a list (https://man7.org/linux/man-pages/man7/cpuset.7.html). */
export function parseCpuList(text: string): Set<number> | undefined {
  const set = new Set<number>();
  if (text === '') return set;
  for (const part of text.split(',')) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    if (match === null) return undefined;
    const from = Number(match[1]);
    const to = match[2] === undefined ? from : Number(match[2]);
    if (to < from || to > 8191) return undefined;
    for (let cpu = from; cpu <= to; cpu++) set.add(cpu);
  }
  return set;
}
