import { NaruError } from '#spec/errors.ts';
import type { PartialFile } from './partial-files.ts';

/** Between two lengths that are told: so many bytes, or so many milliseconds when they come slowly. */
const STEP = 1 << 20;
const PATIENCE = 10;

/** A blob's way into its file. What reads the file hears how long it is by now, and may come late or be slow: it holds nothing up. */
export interface Download {
  /** Until it is whole. Throws what ended the download. */
  lengths(): AsyncIterable<number>;
  /** Resolves when nothing is written any more: true when it is whole. */
  readonly ended: Promise<boolean>;
}

/** `size`: how many bytes the file will have. Throws `corrupt` (in `lengths`) when more come. */
export function download(chunks: AsyncIterable<Uint8Array>, file: PartialFile, { offset, size, onLength }: { offset: number; size: number; onLength: (length: number) => void }): Download {
  let length = offset;
  let failure: { error: unknown } | undefined;
  let wake: () => void = () => {};

  async function run(): Promise<boolean> {
    try {
      for await (const chunk of chunks) {
        if (length + chunk.byteLength > size) throw new NaruError('corrupt', `more bytes than the ${size} that were announced`);
        const { byteLength } = chunk;
        await file.append(chunk);
        length += byteLength;
        onLength(length);
        wake();
      }
      if (length < size) throw new NaruError('unavailable', `the transfer ended after ${length} of ${size} bytes`);
    } catch (error) {
      failure = { error };
    }
    wake();
    return failure === undefined;
  }

  return {
    ended: run(),
    async *lengths() {
      for (let told = -1; told < size; ) {
        if (failure !== undefined) throw failure.error;
        if (length > told && (told < 0 || length === size || length - told >= STEP)) {
          yield (told = length);
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (failure === undefined && length < size && length - told < STEP) {
          await new Promise((resolve) => setTimeout(resolve, PATIENCE));
          if (length > told) yield (told = length);
        }
      }
    },
  };
}
