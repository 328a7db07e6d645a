/** An iterable whose first item was waited for: what fails at once is thrown here, while a status can still be given. */
export async function afterFirstItem<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const source = items[Symbol.asyncIterator]();
  const first = source.next();
  await first;
  return resumeWith(first, source);
}

/** As afterFirstItem, for sources that may be silent for long: waits only for what fails within the event loop's turn. */
export async function unlessFailingAtOnce<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const source = items[Symbol.asyncIterator]();
  const first = source.next();
  first.catch(() => undefined); // reported when it is read, if not below
  await Promise.race([first, new Promise((resolve) => setImmediate(resolve))]);
  return resumeWith(first, source);
}

function resumeWith<T>(first: Promise<IteratorResult<T>>, source: AsyncIterator<T>): AsyncIterable<T> {
  let pending: Promise<IteratorResult<T>> | undefined = first;
  const iterator: AsyncIterator<T> = {
    next: () => {
      const next = pending ?? source.next();
      pending = undefined;
      return next;
    },
    return: async () => (await source.return?.()) ?? { done: true, value: undefined },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
