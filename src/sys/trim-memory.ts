let timer: NodeJS.Timeout | undefined;

/** After work that moved much memory: collect garbage once things are quiet, so that an idle daemon is small again. */
export function trimMemorySoon(): void {
  if (timer !== undefined) clearTimeout(timer);
  timer = setTimeout(() => {
    timer = undefined;
    Bun.gc(true);
  }, 1000);
  timer.unref();
}
