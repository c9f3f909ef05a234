import { LarderError } from '../engine/errors.ts';
import type { RequestContext } from './context.ts';

/** Told of what should not have happened. */
export type OnMistake = (error: unknown, context: RequestContext) => void;

/** What a client is told: an error of the domain as it is; any other is a mistake of Larder, and for its log. */
export function answerable(
  error: unknown,
  context: RequestContext,
  onMistake: OnMistake,
): LarderError {
  if (error instanceof LarderError) return error;
  onMistake(error, context);
  return new LarderError('store_failed', 'Larder made a mistake; its log says more');
}
