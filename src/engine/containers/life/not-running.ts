import { NaruError } from '#spec/errors.ts';
import type { Container } from '../container.ts';

export const notRunning = (container: Container): NaruError => new NaruError('conflict', `container ${container.id} is not running`);
