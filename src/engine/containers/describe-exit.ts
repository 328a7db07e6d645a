import type { Container } from './container.ts';

/** The answer to whoever waits. */
export const waitResponse = ({ state }: Container): { StatusCode: number; Error?: { Message: string } } =>
  state.error === '' ? { StatusCode: state.exitCode } : { StatusCode: state.exitCode, Error: { Message: state.error } };
