import { NaruError } from '#spec/errors.ts';

/** Whether a kernel release (`uname -r`) is at least `minimum` (`<kernel>.<major>`); what follows the second number is
 *  ignored, as Docker does. Throws `invalid` when `minimum` has another form. */
export function kernelAtLeast(release: string, minimum: string): boolean {
  const wanted = /^(\d{1,3})\.(\d{1,3})$/.exec(minimum);
  if (wanted === null || (Number(wanted[1]) === 0 && Number(wanted[2]) === 0)) {
    throw new NaruError('invalid', `invalid kernel version: ${JSON.stringify(minimum)}, expected "<kernel>.<major>"`);
  }
  const actual = /^(\d+)\.(\d+)/.exec(release);
  if (actual === null) throw new NaruError('unsupported', `cannot read the kernel's release ${JSON.stringify(release)}`);
  const [kernel, major] = [Number(actual[1]), Number(actual[2])];
  return kernel > Number(wanted[1]) || (kernel === Number(wanted[1]) && major >= Number(wanted[2]));
}
