import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Freshness } from '../engine/freshness.ts';
import type { Ask, PullThrough } from '../engine/pull-through.ts';
import type { RequestContext } from '../http/context.ts';
import type { OnMistake } from '../http/mistakes.ts';
import type { ClientSignal } from '../http/serve.ts';
import type { OciContentParts } from './content.ts';
import type { OciName } from './names.ts';
import type { OciUpstreams, Repository } from './upstreams.ts';

export interface OciParts {
  readonly pull: PullThrough;
  readonly content: OciContentParts;
  readonly upstreams: OciUpstreams;
  readonly freshness: Freshness;
  /** Name of this server in `Via`. */
  readonly via: string;
  /** Told of what should not have happened. */
  readonly onMistake: OnMistake;
}

/** One request on its way through. */
export interface OciExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly context: RequestContext;
  readonly client: ClientSignal;
  readonly ask: Ask;
  readonly name: OciName;
  readonly repository: Repository;
  readonly query: URLSearchParams;
  readonly head: boolean;
}
